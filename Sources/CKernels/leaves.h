// The last step of the kernels for many rows: from the numbers of the leaves that rows fell into to their sums.

#ifndef MARTLET_LEAVES_H
#define MARTLET_LEAVES_H

#include "targets.h"

#define BLOCK 64

// Each function adds, for each output of a tree, the values of the leaves `leaf` of `rows` rows, whole blocks of 64, to
// the sums of the output, which begin at `sums` + target * `pitch`.

#define DEFINE_LEAVES_PORTABLE(NAME, TYPE)                                                                             \
  INLINED void NAME(                                                                                                   \
      const martlet_leaves *leaves, const TYPE *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,  \
      TYPE *sums, size_t pitch) {                                                                                      \
    const TYPE *table = values + leaves->first_value;                                                                  \
    for (uint32_t output = 0; output < leaves->outputs; output++, table += (size_t)1 << leaves->bits) {                \
      TYPE *sum = sums + outputs[leaves->first_output + output] * pitch;                                               \
      for (size_t i = 0; i < rows; i++) sum[i] += table[leaf[i]];                                                     \
    }                                                                                                                  \
  }

DEFINE_LEAVES_PORTABLE(leaves_float_portable, float)
DEFINE_LEAVES_PORTABLE(leaves_double_portable, double)

#if defined(__x86_64__)
INLINED TARGET_AVX2 void leaves_float_avx2(
    const martlet_leaves *leaves, const float *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,
    float *sums, size_t pitch) {
  const float *table = values + leaves->first_value;
  for (uint32_t output = 0; output < leaves->outputs; output++, table += (size_t)1 << leaves->bits) {
    float *sum = sums + outputs[leaves->first_output + output] * pitch;
    for (size_t i = 0; i < rows; i += 8) {
      const __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(leaf + i)));
      const __m256 value = _mm256_i32gather_ps(table, index, 4);
      _mm256_storeu_ps(sum + i, _mm256_add_ps(_mm256_loadu_ps(sum + i), value));
    }
  }
}

INLINED TARGET_AVX2 void leaves_double_avx2(
    const martlet_leaves *leaves, const double *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,
    double *sums, size_t pitch) {
  const double *table = values + leaves->first_value;
  for (uint32_t output = 0; output < leaves->outputs; output++, table += (size_t)1 << leaves->bits) {
    double *sum = sums + outputs[leaves->first_output + output] * pitch;
    for (size_t i = 0; i < rows; i += 4) {
      const __m128i index = _mm_cvtepu8_epi32(_mm_loadu_si32(leaf + i));
      const __m256d value = _mm256_i32gather_pd(table, index, 8);
      _mm256_storeu_pd(sum + i, _mm256_add_pd(_mm256_loadu_pd(sum + i), value));
    }
  }
}

// Values by permutes of the table, which lies in up to 16 registers.
#define LOOKUP_32(INDEX, AT) _mm512_permutex2var_ps(t[AT], INDEX, t[(AT) + 1])
#define LOOKUP_64(INDEX, AT, BIT_5)                                                                                    \
  _mm512_mask_blend_ps(BIT_5, LOOKUP_32(INDEX, AT), LOOKUP_32(INDEX, (AT) + 2))
#define LOOKUP_128(INDEX, AT, BIT_5, BIT_6)                                                                            \
  _mm512_mask_blend_ps(BIT_6, LOOKUP_64(INDEX, AT, BIT_5), LOOKUP_64(INDEX, (AT) + 4, BIT_5))
#define BIT(INDEX, N) _mm512_test_epi32_mask(INDEX, _mm512_set1_epi32(1 << (N)))

#define FOR_EACH_16(VALUE)                                                                                             \
  for (size_t i = 0; i < rows; i += 16) {                                                                             \
    const __m512i n = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(leaf + i)));                              \
    _mm512_storeu_ps(sum + i, _mm512_add_ps(_mm512_loadu_ps(sum + i), VALUE));                                         \
  }

INLINED TARGET_AVX512 void leaves_float_avx512(
    const martlet_leaves *leaves, const float *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,
    float *sums, size_t pitch) {
  const float *table = values + leaves->first_value;
  for (uint32_t output = 0; output < leaves->outputs; output++, table += (size_t)1 << leaves->bits) {
    float *sum = sums + outputs[leaves->first_output + output] * pitch;
    __m512 t[16];
    switch (leaves->bits) {
    case 4:
      t[0] = _mm512_loadu_ps(table);
      FOR_EACH_16(_mm512_permutexvar_ps(n, t[0]))
      break;
    case 5:
      for (int i = 0; i < 2; i++) t[i] = _mm512_loadu_ps(table + 16 * i);
      FOR_EACH_16(LOOKUP_32(n, 0))
      break;
    case 6:
      for (int i = 0; i < 4; i++) t[i] = _mm512_loadu_ps(table + 16 * i);
      FOR_EACH_16(LOOKUP_64(n, 0, BIT(n, 5)))
      break;
    case 7:
      for (int i = 0; i < 8; i++) t[i] = _mm512_loadu_ps(table + 16 * i);
      FOR_EACH_16(LOOKUP_128(n, 0, BIT(n, 5), BIT(n, 6)))
      break;
    default:
      for (int i = 0; i < 16; i++) t[i] = _mm512_loadu_ps(table + 16 * i);
      FOR_EACH_16(_mm512_mask_blend_ps(
          BIT(n, 7), LOOKUP_128(n, 0, BIT(n, 5), BIT(n, 6)), LOOKUP_128(n, 8, BIT(n, 5), BIT(n, 6))))
      break;
    }
  }
}

// A table of 64 values byte by byte: the lowest byte of each, then the next. A permute of bytes looks up a byte for 64
// rows. What comes out has another order of rows: of row 16 a + 4 b + c, value[b] holds place 4 a + c.
INLINED TARGET_AVX512_BYTES void values_of_bytes(const float *table, __m512i leaf, __m512 *value) {
  __m512i byte[4];
  for (int i = 0; i < 4; i++) byte[i] = _mm512_permutexvar_epi8(leaf, _mm512_loadu_si512(table + 16 * i));
  const __m512i low[2] = {_mm512_unpacklo_epi8(byte[0], byte[1]), _mm512_unpackhi_epi8(byte[0], byte[1])};
  const __m512i high[2] = {_mm512_unpacklo_epi8(byte[2], byte[3]), _mm512_unpackhi_epi8(byte[2], byte[3])};
  for (int i = 0; i < 2; i++) {
    value[2 * i] = _mm512_castsi512_ps(_mm512_unpacklo_epi16(low[i], high[i]));
    value[2 * i + 1] = _mm512_castsi512_ps(_mm512_unpackhi_epi16(low[i], high[i]));
  }
}

// The same as `leaves_float_avx512` for tables byte by byte where they have 64 values, and sums in their order.
INLINED TARGET_AVX512_BYTES void leaves_float_bytes(
    const martlet_leaves *leaves, const float *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,
    float *sums, size_t pitch) {
  if (leaves->bits > 6) {
    uint8_t turned[8 * BLOCK] __attribute__((aligned(BLOCK)));
    const __m512i order = _mm512_setr_epi32(
        0x03020100, 0x13121110, 0x23222120, 0x33323130, 0x07060504, 0x17161514, 0x27262524, 0x37363534, 0x0b0a0908,
        0x1b1a1918, 0x2b2a2928, 0x3b3a3938, 0x0f0e0d0c, 0x1f1e1d1c, 0x2f2e2d2c, 0x3f3e3d3c);
    for (size_t i = 0; i < rows; i += BLOCK)
      _mm512_store_si512(turned + i, _mm512_permutexvar_epi8(order, _mm512_loadu_si512(leaf + i)));
    return leaves_float_avx512(leaves, values, outputs, turned, rows, sums, pitch);
  }
  const float *table = values + leaves->first_value;
  for (uint32_t output = 0; output < leaves->outputs; output++, table += 64) {
    float *sum = sums + outputs[leaves->first_output + output] * pitch;
    for (size_t i = 0; i < rows; i += BLOCK) {
      __m512 value[4];
      values_of_bytes(table, _mm512_loadu_si512(leaf + i), value);
      for (int j = 0; j < 4; j++)
        _mm512_storeu_ps(sum + i + 16 * j, _mm512_add_ps(_mm512_loadu_ps(sum + i + 16 * j), value[j]));
    }
  }
}

#define LOOKUP_16_DOUBLE(INDEX, AT) _mm512_permutex2var_pd(t[AT], INDEX, t[(AT) + 1])
#define LOOKUP_32_DOUBLE(INDEX, AT, BIT_4)                                                                             \
  _mm512_mask_blend_pd(BIT_4, LOOKUP_16_DOUBLE(INDEX, AT), LOOKUP_16_DOUBLE(INDEX, (AT) + 2))
#define BIT_DOUBLE(INDEX, N) _mm512_test_epi64_mask(INDEX, _mm512_set1_epi64(1 << (N)))

#define FOR_EACH_8(VALUE)                                                                                              \
  for (size_t i = 0; i < rows; i += 8) {                                                                              \
    const __m512i n = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(leaf + i)));                              \
    _mm512_storeu_pd(sum + i, _mm512_add_pd(_mm512_loadu_pd(sum + i), VALUE));                                         \
  }

INLINED TARGET_AVX512 void leaves_double_avx512(
    const martlet_leaves *leaves, const double *values, const uint32_t *outputs, const uint8_t *leaf, size_t rows,
    double *sums, size_t pitch) {
  const double *table = values + leaves->first_value;
  for (uint32_t output = 0; output < leaves->outputs; output++, table += (size_t)1 << leaves->bits) {
    double *sum = sums + outputs[leaves->first_output + output] * pitch;
    __m512d t[8];
    switch (leaves->bits) {
    case 4:
      for (int i = 0; i < 2; i++) t[i] = _mm512_loadu_pd(table + 8 * i);
      FOR_EACH_8(LOOKUP_16_DOUBLE(n, 0))
      break;
    case 5:
      for (int i = 0; i < 4; i++) t[i] = _mm512_loadu_pd(table + 8 * i);
      FOR_EACH_8(LOOKUP_32_DOUBLE(n, 0, BIT_DOUBLE(n, 4)))
      break;
    case 6:
      for (int i = 0; i < 8; i++) t[i] = _mm512_loadu_pd(table + 8 * i);
      FOR_EACH_8(_mm512_mask_blend_pd(
          BIT_DOUBLE(n, 5), LOOKUP_32_DOUBLE(n, 0, BIT_DOUBLE(n, 4)), LOOKUP_32_DOUBLE(n, 4, BIT_DOUBLE(n, 4))))
      break;
    default: FOR_EACH_8(_mm512_i64gather_pd(n, table, 8)) break;
    }
  }
}
#endif

// Between [rows, targets] of a caller and sums by target, `pitch` apart, that a kernel adds to.
#define DEFINE_SUMS(TYPE, LOAD, STORE)                                                                                 \
  INLINED void LOAD(const TYPE *scores, size_t rows, size_t targets, TYPE *sums, size_t pitch) {                       \
    for (size_t target = 0; target < targets; target++) {                                                              \
      for (size_t row = 0; row < rows; row++) sums[target * pitch + row] = scores[row * targets + target];             \
      for (size_t row = rows; row < pitch; row++) sums[target * pitch + row] = 0;                                      \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void STORE(TYPE *scores, size_t rows, size_t targets, const TYPE *sums, size_t pitch) {                      \
    for (size_t target = 0; target < targets; target++)                                                                \
      for (size_t row = 0; row < rows; row++) scores[row * targets + target] = sums[target * pitch + row];             \
  }

DEFINE_SUMS(float, load_sums_float, store_sums_float)
DEFINE_SUMS(double, load_sums_double, store_sums_double)

#endif
