// From the code of a category to what the trees' features of that category are.
//
// Most such features are flags: one category has a value, all others another one. A flag of 64 rows is one comparison
// of their codes with the category's, so dozens of flags cost less than to rank one number.

#include "categories.h"
#include "targets.h"

#define BLOCK 64
#define LANES MARTLET_WALK_LANES
// Flags of one row that are written together: what is too much is written over by the next category, or lies in the
// undefined rest of the row. Tables end with as many bytes more.
#define VECTOR 32

#define DEFINE_BLOCKS(NAME, TYPE, TARGET)                                                                              \
  INLINED TARGET void NAME##_flags_byte(                                                                               \
      const martlet_category_codes *all, size_t column, size_t end, const uint8_t *category, uint8_t *to) {            \
    for (; column < end; column++, to += BLOCK) {                                                                      \
      const uint8_t own = (uint8_t)all->own[column], value = all->values[column], other = all->others[column];         \
      for (int i = 0; i < BLOCK; i++) to[i] = category[i] == own ? value : other;                                      \
    }                                                                                                                  \
  }                                                                                                                    \
  INLINED TARGET void NAME##_flags_word(                                                                               \
      const martlet_category_codes *all, size_t column, size_t end, const uint16_t *category, uint8_t *to) {           \
    for (; column < end; column++, to += BLOCK) {                                                                      \
      const uint16_t own = all->own[column];                                                                           \
      const uint8_t value = all->values[column], other = all->others[column];                                          \
      for (int i = 0; i < BLOCK; i++) to[i] = category[i] == own ? value : other;                                      \
    }                                                                                                                  \
  }                                                                                                                    \
  static TARGET void NAME(                                                                                             \
      const martlet_encoder *encoder, const TYPE *rows, size_t stride, size_t count, uint8_t *codes) {                 \
    const martlet_category_codes *all = encoder->categories;                                                           \
    for (size_t first = 0; first < count; first += BLOCK, codes += BLOCK * encoder->column_count) {                    \
      const size_t n = count - first < BLOCK ? count - first : BLOCK;                                                  \
      for (size_t index = 0; index < all->count; index++) {                                                            \
        const martlet_category own = all->categories[index];                                                           \
        const TYPE *from = rows + first * stride + own.feature;                                                        \
        uint8_t *to = codes + BLOCK * (size_t)own.first_column;                                                        \
        const size_t end = own.first_column + own.flags;                                                               \
        uint16_t category[BLOCK] = {0};                                                                                \
        for (size_t i = 0; i < n; i++) category[i] = (uint16_t)(int32_t)from[i * stride];                              \
        if (own.flags > 0 && own.codes <= 256) {                                                                       \
          uint8_t narrow[BLOCK];                                                                                       \
          for (int i = 0; i < BLOCK; i++) narrow[i] = (uint8_t)category[i];                                            \
          NAME##_flags_byte(all, own.first_column, end, narrow, to);                                                   \
        } else {                                                                                                       \
          NAME##_flags_word(all, own.first_column, end, category, to);                                                 \
        }                                                                                                              \
        to += BLOCK * (size_t)own.flags;                                                                               \
        const uint8_t *values = all->lookups + own.first_value;                                                        \
        for (uint32_t table = 0; table < own.tables; table++, to += BLOCK, values += own.codes)                        \
          for (int i = 0; i < BLOCK; i++) to[i] = values[category[i]];                                                 \
      }                                                                                                                \
    }                                                                                                                  \
  }

#define DEFINE_ROWS(NAME, TYPE, CODE, TARGET)                                                                          \
  static TARGET void NAME(                                                                                             \
      const martlet_category_codes *all, const TYPE *rows, size_t stride, size_t count, void *codes,                   \
      size_t row_bytes) {                                                                                              \
    for (size_t row = 0; row < count; row++, rows += stride) {                                                         \
      for (size_t index = 0; index < all->count; index++) {                                                            \
        const martlet_category *own = all->categories + index;                                                         \
        const uint16_t category = (uint16_t)(int32_t)rows[own->feature];                                               \
        const size_t first = own->first_column;                                                                        \
        CODE *to = (CODE *)((char *)codes + row * row_bytes) + first;                                                  \
        const uint16_t *owns = all->own + first;                                                                       \
        const uint8_t *values = all->values + first, *others = all->others + first;                                    \
        const size_t flags = own->flags;                                                                               \
        for (size_t first_flag = 0; first_flag < flags; first_flag += VECTOR)                                          \
          for (size_t i = first_flag; i < first_flag + VECTOR; i++)                                                    \
            to[i] = owns[i] == category ? values[i] : others[i];                                                       \
        const uint8_t *lookups = all->lookups + own->first_value + category;                                           \
        for (uint32_t table = 0; table < own->tables; table++)                                                         \
          to[flags + table] = lookups[table * (size_t)own->codes];                                                     \
      }                                                                                                                \
    }                                                                                                                  \
  }

#define DEFINE_ALL(LEVEL, TARGET)                                                                                      \
  DEFINE_BLOCKS(blocks_float_##LEVEL, float, TARGET)                                                                   \
  DEFINE_BLOCKS(blocks_double_##LEVEL, double, TARGET)                                                                 \
  DEFINE_ROWS(rows_float_##LEVEL, float, uint8_t, TARGET)                                                              \
  DEFINE_ROWS(rows_double_##LEVEL, double, uint8_t, TARGET)                                                            \
  DEFINE_ROWS(wide_rows_float_##LEVEL, float, uint16_t, TARGET)                                                        \
  DEFINE_ROWS(wide_rows_double_##LEVEL, double, uint16_t, TARGET)

#define CALL(NAME, LEVEL, ...)                                                                                         \
  do {                                                                                                                 \
    if (encoder->is_double) NAME##_double_##LEVEL(__VA_ARGS__);                                                        \
    else NAME##_float_##LEVEL(__VA_ARGS__);                                                                            \
  } while (0)

DEFINE_ALL(portable, )
#if defined(__x86_64__)
DEFINE_ALL(avx2, TARGET_AVX2)
DEFINE_ALL(avx512, TARGET_AVX512)

#define SELECT(NAME, ...)                                                                                              \
  do {                                                                                                                 \
    if (encoder->level >= MARTLET_CPU_AVX512) CALL(NAME, avx512, __VA_ARGS__);                                         \
    else if (encoder->level == MARTLET_CPU_AVX2) CALL(NAME, avx2, __VA_ARGS__);                                        \
    else CALL(NAME, portable, __VA_ARGS__);                                                                            \
  } while (0)
#else
#define SELECT(NAME, ...) CALL(NAME, portable, __VA_ARGS__)
#endif

void martlet_encode_category_blocks(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes) {
  SELECT(blocks, encoder, rows, stride, count, codes);
}

void martlet_encode_category_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, void *codes, size_t row_bytes,
    bool is_wide) {
  if (is_wide) SELECT(wide_rows, encoder->categories, rows, stride, count, codes, row_bytes);
  else SELECT(rows, encoder->categories, rows, stride, count, codes, row_bytes);
}

// Columns of values for the interleaved walk.
#define DEFINE_VALUES(TYPE, CODE)                                                                                      \
  bool martlet_category_tiles_##TYPE(                                                                                  \
      const martlet_category_values *all, const TYPE *rows, size_t stride, size_t count, TYPE *tiles,                  \
      size_t columns) {                                                                                                \
    CODE has_missing = 0;                                                                                              \
    for (size_t row = 0; row < count; row += LANES) {                                                                  \
      TYPE *tile = tiles + row * columns;                                                                              \
      for (size_t index = 0; index < all->count; index++) {                                                            \
        const martlet_category *own = all->categories + index;                                                         \
        CODE category[LANES];                                                                                          \
        for (size_t i = 0; i < LANES; i++)                                                                             \
          category[i] = (CODE)rows[(row + i < count ? row + i : row) * stride + own->feature];                         \
        const uint32_t *owns = all->own + own->first_column;                                                           \
        const TYPE *values = (const TYPE *)all->values + own->first_column;                                            \
        const TYPE *others = (const TYPE *)all->others + own->first_column;                                            \
        TYPE *to = tile + LANES * (columns - all->columns + own->first_column);                                        \
        for (uint32_t flag = 0; flag < own->flags; flag++, to += LANES) {                                              \
          const TYPE value = values[flag], other = others[flag];                                                       \
          const CODE code = (CODE)owns[flag];                                                                          \
          for (size_t i = 0; i < LANES; i++) to[i] = category[i] == code ? value : other;                              \
          for (size_t i = 0; i < LANES; i++) has_missing |= to[i] != to[i];                                            \
        }                                                                                                              \
        const TYPE *lookups = (const TYPE *)all->lookups + own->first_value;                                           \
        for (uint32_t table = 0; table < own->tables; table++, to += LANES, lookups += own->codes)                     \
          for (size_t i = 0; i < LANES; i++) {                                                                         \
            to[i] = lookups[category[i]];                                                                              \
            has_missing |= to[i] != to[i];                                                                             \
          }                                                                                                            \
      }                                                                                                                \
    }                                                                                                                  \
    return has_missing != 0;                                                                                           \
  }                                                                                                                    \
                                                                                                                       \
  bool martlet_category_row_##TYPE(                                                                                    \
      const martlet_category_values *all, const TYPE *row, TYPE *to, size_t columns) {                                 \
    CODE has_missing = 0;                                                                                              \
    to += columns - all->columns;                                                                                      \
    for (size_t index = 0; index < all->count; index++) {                                                              \
      const martlet_category *own = all->categories + index;                                                           \
      const CODE category = (CODE)row[own->feature];                                                                   \
      const uint32_t *owns = all->own + own->first_column;                                                             \
      const TYPE *values = (const TYPE *)all->values + own->first_column;                                              \
      const TYPE *others = (const TYPE *)all->others + own->first_column;                                              \
      TYPE *own_to = to + own->first_column;                                                                           \
      for (uint32_t flag = 0; flag < own->flags; flag++) {                                                             \
        const TYPE value = (CODE)owns[flag] == category ? values[flag] : others[flag];                                 \
        own_to[flag] = value;                                                                                          \
        has_missing |= value != value;                                                                                 \
      }                                                                                                                \
      const TYPE *lookups = (const TYPE *)all->lookups + own->first_value + category;                                  \
      for (uint32_t table = 0; table < own->tables; table++) {                                                         \
        const TYPE value = lookups[table * (size_t)own->codes];                                                        \
        own_to[own->flags + table] = value;                                                                            \
        has_missing |= value != value;                                                                                 \
      }                                                                                                                \
    }                                                                                                                  \
    return has_missing != 0;                                                                                           \
  }

DEFINE_VALUES(float, int32_t)
DEFINE_VALUES(double, int64_t)
