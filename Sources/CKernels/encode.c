// From values to codes: the rank of a value among a feature's cuts, as one byte or several.
//
// A cut is a value at which some test changes, so two values of the same rank go the same way at every node, and a
// comparison of ranks is the comparison of the values. Cuts lie in a search tree of 16 to a node: with AVX-512 a level
// is one comparison and a count of bits, so two levels rank a value among 255 cuts without a branch.

#include "categories.h"
#include "targets.h"

#include <string.h>

#define BLOCK 64

// Ranks the value by the levels that begin at `cuts`; NaN, which is not less and not greater than anything, is 0.
// Elements behind the last cut are NaN and never counted.
#define DEFINE_SEARCH(NAME, TYPE, TARGET, COUNT)                                                                       \
  INLINED TARGET uint32_t NAME(const TYPE *cuts, uint32_t levels, uint32_t count, TYPE value) {                        \
    uint32_t rank = 0;                                                                                                 \
    for (uint32_t level = levels; level > 0; level--) {                                                                \
      rank = 16 * rank + COUNT(cuts + 16 * (size_t)rank, value);                                                       \
      cuts += 16 * ((size_t)(count >> 4 * level) + 1);                                                                 \
    }                                                                                                                  \
    return rank;                                                                                                       \
  }

#if defined(__x86_64__)
INLINED TARGET_AVX512 uint32_t count_float_avx512(const float *cuts, float value) {
  return (uint32_t)__builtin_popcount(
      _mm512_cmp_ps_mask(_mm512_set1_ps(value), _mm512_loadu_ps(cuts), _CMP_GE_OQ));
}

INLINED TARGET_AVX512 uint32_t count_double_avx512(const double *cuts, double value) {
  const __m512d v = _mm512_set1_pd(value);
  const uint32_t low = _mm512_cmp_pd_mask(v, _mm512_loadu_pd(cuts), _CMP_GE_OQ);
  const uint32_t high = _mm512_cmp_pd_mask(v, _mm512_loadu_pd(cuts + 8), _CMP_GE_OQ);
  return (uint32_t)__builtin_popcount(low | high << 8);
}

INLINED TARGET_AVX2 uint32_t count_float_avx2(const float *cuts, float value) {
  const __m256 v = _mm256_set1_ps(value);
  const uint32_t low = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_loadu_ps(cuts), _CMP_GE_OQ));
  const uint32_t high = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_loadu_ps(cuts + 8), _CMP_GE_OQ));
  return (uint32_t)__builtin_popcount(low | high << 8);
}

INLINED TARGET_AVX2 uint32_t count_double_avx2(const double *cuts, double value) {
  const __m256d v = _mm256_set1_pd(value);
  uint32_t mask = 0;
  for (int i = 0; i < 4; i++)
    mask |= (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(v, _mm256_loadu_pd(cuts + 4 * i), _CMP_GE_OQ)) << 4 * i;
  return (uint32_t)__builtin_popcount(mask);
}

DEFINE_SEARCH(search_float_avx512, float, TARGET_AVX512, count_float_avx512)
DEFINE_SEARCH(search_double_avx512, double, TARGET_AVX512, count_double_avx512)
DEFINE_SEARCH(search_float_avx2, float, TARGET_AVX2, count_float_avx2)
DEFINE_SEARCH(search_double_avx2, double, TARGET_AVX2, count_double_avx2)
#endif

// Vectors of 16 bytes, which every platform has: a comparison gives -1 where it holds.
typedef float floats __attribute__((vector_size(16)));
typedef int32_t words __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(16)));
typedef int64_t longs __attribute__((vector_size(16)));

INLINED uint32_t count_float_portable(const float *cuts, float value) {
  const floats v = value - (floats){0};
  floats cut;
  words sum = {0};
  for (int i = 0; i < 16; i += 4) {
    __builtin_memcpy(&cut, cuts + i, sizeof cut);
    sum += v >= cut;
  }
  return (uint32_t) - (sum[0] + sum[1] + sum[2] + sum[3]);
}

INLINED uint32_t count_double_portable(const double *cuts, double value) {
  const doubles v = value - (doubles){0};
  doubles cut;
  longs sum = {0};
  for (int i = 0; i < 16; i += 2) {
    __builtin_memcpy(&cut, cuts + i, sizeof cut);
    sum += v >= cut;
  }
  return (uint32_t) - (sum[0] + sum[1]);
}

DEFINE_SEARCH(search_float_portable, float, , count_float_portable)
DEFINE_SEARCH(search_double_portable, double, , count_double_portable)

INLINED uint32_t code_of(
    const martlet_encoder *encoder, const martlet_code_column *column, uint32_t rank, uint32_t cuts, bool is_missing,
    const uint32_t most) {
  if (column->lookup != UINT32_MAX) return encoder->lookups[column->lookup + (is_missing ? cuts + 1 : rank)];
  if (is_missing) return column->missing;
  const uint32_t above = rank > column->first ? rank - column->first : 0;
  return above < most ? above : most;
}

// Codes of 64 rows from their ranks, without a branch, so that the compiler does it in vectors.
INLINED void code_block(
    const martlet_code_column *column, const uint16_t *ranks, const uint8_t *is_missing, uint8_t *to) {
  const uint16_t first = (uint16_t)column->first, missing = column->missing;
  for (int i = 0; i < BLOCK; i++) {
    const uint16_t above = (uint16_t)(ranks[i] > first ? ranks[i] - first : 0);
    const uint16_t code = above < 255 ? above : 255;
    to[i] = (uint8_t)(is_missing[i] ? missing : code);
  }
}

#define DEFINE_ENCODE_BLOCKS(NAME, TYPE, TARGET, SEARCH)                                                               \
  static TARGET void NAME(                                                                                             \
      const martlet_encoder *encoder, const TYPE *rows, size_t stride, size_t count, uint8_t *codes) {                 \
    for (size_t first = 0; first < count; first += BLOCK, codes += BLOCK * encoder->column_count) {                    \
      const size_t n = count - first < BLOCK ? count - first : BLOCK;                                                  \
      if (n < BLOCK) memset(codes, 0, BLOCK * encoder->column_count);                                                  \
      for (size_t index = 0; index < encoder->feature_count; index++) {                                                \
        const martlet_coded_feature feature = encoder->features[index];                                                \
        const TYPE *from = rows + first * stride + feature.feature;                                                    \
        const TYPE *cuts = (const TYPE *)encoder->cuts + feature.first_cut;                                            \
        uint8_t *to = codes + BLOCK * (size_t)feature.first_column;                                                    \
        if (feature.is_plain && feature.levels == 1) {                                                                 \
          for (size_t i = 0; i < n; i++) to[i] = (uint8_t)SEARCH(cuts, 1, feature.cuts, from[i * stride]);             \
        } else if (feature.is_plain && feature.levels == 2) {                                                          \
          for (size_t i = 0; i < n; i++) to[i] = (uint8_t)SEARCH(cuts, 2, feature.cuts, from[i * stride]);             \
        } else {                                                                                                       \
          const martlet_code_column *columns = encoder->columns + feature.first_column;                                \
          uint16_t ranks[BLOCK] = {0};                                                                                 \
          uint8_t is_missing[BLOCK] = {0};                                                                             \
          for (size_t i = 0; i < n; i++) {                                                                             \
            const TYPE value = from[i * stride];                                                                       \
            ranks[i] = (uint16_t)(                                                                                     \
                feature.levels == 2 ? SEARCH(cuts, 2, feature.cuts, value)                                             \
                                    : SEARCH(cuts, feature.levels, feature.cuts, value));                              \
            is_missing[i] = value != value;                                                                            \
          }                                                                                                            \
          for (uint32_t column = 0; column < feature.columns; column++) {                                              \
            uint8_t *codes_to = to + BLOCK * (size_t)column;                                                           \
            if (columns[column].lookup == UINT32_MAX) {                                                                \
              code_block(columns + column, ranks, is_missing, codes_to);                                               \
              continue;                                                                                                \
            }                                                                                                          \
            const uint8_t *lookup = encoder->lookups + columns[column].lookup;                                         \
            for (size_t i = 0; i < n; i++) codes_to[i] = lookup[is_missing[i] ? feature.cuts + 1 : ranks[i]];          \
          }                                                                                                            \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
  }

#define DEFINE_ENCODE_ROWS(NAME, TYPE, CODE, TARGET, SEARCH)                                                           \
  static TARGET void NAME(                                                                                             \
      const martlet_encoder *encoder, const TYPE *rows, size_t stride, size_t count, void *codes, size_t row_bytes) {  \
    for (size_t row = 0; row < count; row++, rows += stride) {                                                         \
      CODE *to = (CODE *)((char *)codes + row * row_bytes);                                                            \
      for (size_t index = 0; index < encoder->feature_count; index++) {                                                \
        const martlet_coded_feature *feature = encoder->features + index;                                              \
        const TYPE value = rows[feature->feature];                                                                     \
        const TYPE *cuts = (const TYPE *)encoder->cuts + feature->first_cut;                                           \
        if (feature->is_plain && feature->levels == 2) {                                                               \
          to[feature->first_column] = (CODE)SEARCH(cuts, 2, feature->cuts, value);                                     \
          continue;                                                                                                    \
        }                                                                                                              \
        const uint32_t rank = SEARCH(cuts, feature->levels, feature->cuts, value);                                     \
        const martlet_code_column *own = encoder->columns + feature->first_column;                                     \
        if (feature->columns == 1 && own->lookup == UINT32_MAX && feature->cuts <= (CODE)-1) {                         \
          to[feature->first_column] = (CODE)(value != value ? own->missing : rank);                                    \
          continue;                                                                                                    \
        }                                                                                                              \
        for (uint32_t column = feature->first_column; column < feature->first_column + feature->columns; column++)     \
          to[column] = (CODE)code_of(                                                                                  \
              encoder, encoder->columns + column, rank, feature->cuts, value != value, (CODE)-1);                      \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_ENCODE_BLOCKS(encode_blocks_float_portable, float, , search_float_portable)
DEFINE_ENCODE_ROWS(encode_rows_float_portable, float, uint8_t, , search_float_portable)
DEFINE_ENCODE_ROWS(encode_wide_rows_float_portable, float, uint16_t, , search_float_portable)
DEFINE_ENCODE_BLOCKS(encode_blocks_double_portable, double, , search_double_portable)
DEFINE_ENCODE_ROWS(encode_rows_double_portable, double, uint8_t, , search_double_portable)
DEFINE_ENCODE_ROWS(encode_wide_rows_double_portable, double, uint16_t, , search_double_portable)

#if defined(__x86_64__)
DEFINE_ENCODE_BLOCKS(encode_blocks_float_avx2, float, TARGET_AVX2, search_float_avx2)
DEFINE_ENCODE_ROWS(encode_rows_float_avx2, float, uint8_t, TARGET_AVX2, search_float_avx2)
DEFINE_ENCODE_ROWS(encode_wide_rows_float_avx2, float, uint16_t, TARGET_AVX2, search_float_avx2)
DEFINE_ENCODE_BLOCKS(encode_blocks_double_avx2, double, TARGET_AVX2, search_double_avx2)
DEFINE_ENCODE_ROWS(encode_rows_double_avx2, double, uint8_t, TARGET_AVX2, search_double_avx2)
DEFINE_ENCODE_ROWS(encode_wide_rows_double_avx2, double, uint16_t, TARGET_AVX2, search_double_avx2)
DEFINE_ENCODE_BLOCKS(encode_blocks_float_avx512, float, TARGET_AVX512, search_float_avx512)
DEFINE_ENCODE_ROWS(encode_rows_float_avx512, float, uint8_t, TARGET_AVX512, search_float_avx512)
DEFINE_ENCODE_ROWS(encode_wide_rows_float_avx512, float, uint16_t, TARGET_AVX512, search_float_avx512)
DEFINE_ENCODE_BLOCKS(encode_blocks_double_avx512, double, TARGET_AVX512, search_double_avx512)
DEFINE_ENCODE_ROWS(encode_rows_double_avx512, double, uint8_t, TARGET_AVX512, search_double_avx512)
DEFINE_ENCODE_ROWS(encode_wide_rows_double_avx512, double, uint16_t, TARGET_AVX512, search_double_avx512)
#endif

#if defined(__x86_64__)
// Rows of at most 64 columns: a byte for each feature, its rank; and from those the codes of all columns at once.
#define DEFINE_ENCODE_SHORT_ROWS(NAME, TYPE, SEARCH)                                                                   \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_encoder *encoder, const TYPE *rows, size_t stride, size_t count, uint8_t *codes,                   \
      size_t row_bytes) {                                                                                              \
    const __m512i owners = _mm512_loadu_si512(encoder->short_rows);                                                    \
    const __m512i missing = _mm512_loadu_si512(encoder->short_rows + 64);                                              \
    uint8_t ranks[64] __attribute__((aligned(64))) = {0};                                                              \
    for (size_t row = 0; row < count; row++, rows += stride, codes += row_bytes) {                                     \
      uint64_t is_missing = 0;                                                                                         \
      for (size_t index = 0; index < encoder->feature_count; index++) {                                                \
        const martlet_coded_feature *feature = encoder->features + index;                                              \
        const TYPE value = rows[feature->feature];                                                                     \
        const TYPE *cuts = (const TYPE *)encoder->cuts + feature->first_cut;                                           \
        is_missing |= (uint64_t)(value != value) << index;                                                             \
        ranks[index] = (uint8_t)(                                                                                      \
            feature->levels == 2 ? SEARCH(cuts, 2, feature->cuts, value) : SEARCH(cuts, 1, feature->cuts, value));     \
      }                                                                                                                \
      __m512i code = _mm512_permutexvar_epi8(owners, _mm512_load_si512(ranks));                                        \
      if (is_missing != 0) {                                                                                           \
        const __m512i flags = _mm512_movm_epi8(_cvtu64_mask64(is_missing));                                            \
        const __mmask64 mask = _mm512_movepi8_mask(_mm512_permutexvar_epi8(owners, flags));                            \
        code = _mm512_mask_mov_epi8(code, mask, missing);                                                              \
      }                                                                                                                \
      _mm512_storeu_si512(codes, code);                                                                                \
    }                                                                                                                  \
  }

DEFINE_ENCODE_SHORT_ROWS(encode_short_rows_float, float, search_float_avx512)
DEFINE_ENCODE_SHORT_ROWS(encode_short_rows_double, double, search_double_avx512)

#define ENCODE(NAME, ...)                                                                                              \
  if (encoder->level >= MARTLET_CPU_AVX512) {                                                                          \
    if (encoder->is_double) return NAME##_double_avx512(encoder, rows, stride, count, __VA_ARGS__);                    \
    return NAME##_float_avx512(encoder, rows, stride, count, __VA_ARGS__);                                             \
  }                                                                                                                    \
  if (encoder->level == MARTLET_CPU_AVX2) {                                                                            \
    if (encoder->is_double) return NAME##_double_avx2(encoder, rows, stride, count, __VA_ARGS__);                      \
    return NAME##_float_avx2(encoder, rows, stride, count, __VA_ARGS__);                                               \
  }                                                                                                                    \
  if (encoder->is_double) return NAME##_double_portable(encoder, rows, stride, count, __VA_ARGS__);                    \
  NAME##_float_portable(encoder, rows, stride, count, __VA_ARGS__);
#else
#define ENCODE(NAME, ...)                                                                                              \
  if (encoder->is_double) return NAME##_double_portable(encoder, rows, stride, count, __VA_ARGS__);                    \
  NAME##_float_portable(encoder, rows, stride, count, __VA_ARGS__);
#endif

static void search_blocks(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes) {
  ENCODE(encode_blocks, codes)
}

static void search_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes, size_t row_bytes) {
#if defined(__x86_64__)
  if (encoder->level >= MARTLET_CPU_AVX512_BYTES && encoder->short_rows != NULL) {
    if (encoder->is_double) return encode_short_rows_double(encoder, rows, stride, count, codes, row_bytes);
    return encode_short_rows_float(encoder, rows, stride, count, codes, row_bytes);
  }
#endif
  ENCODE(encode_rows, codes, row_bytes)
}

static void search_wide_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint16_t *codes, size_t row_bytes) {
  ENCODE(encode_wide_rows, codes, row_bytes)
}

void martlet_encode_blocks(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes) {
  search_blocks(encoder, rows, stride, count, codes);
  if (encoder->categories != NULL) martlet_encode_category_blocks(encoder, rows, stride, count, codes);
}

void martlet_encode_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes, size_t row_bytes) {
  search_rows(encoder, rows, stride, count, codes, row_bytes);
  if (encoder->categories != NULL) martlet_encode_category_rows(encoder, rows, stride, count, codes, row_bytes, false);
}

void martlet_encode_wide_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint16_t *codes, size_t row_bytes) {
  search_wide_rows(encoder, rows, stride, count, codes, row_bytes);
  if (encoder->categories != NULL) martlet_encode_category_rows(encoder, rows, stride, count, codes, row_bytes, true);
}
