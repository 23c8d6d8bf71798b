// Sums of a linear model from the codes of categories: what a product with one-hot columns comes to.

#include "CKernels.h"
#include "levels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))

INLINED void coded_body(
    const int32_t *codes, const float *weights, const float *values, size_t count, size_t rows, size_t targets,
    size_t stride, float *sums) {
  for (size_t target = 0; target < targets; target++, weights += count, sums += stride)
    for (size_t row = 0; row < rows; row++)
      sums[row] = __builtin_fmaf(weights[codes[row]], values[codes[row]], sums[row]);
}

INLINED void numbers_body(
    const float *numbers, const float *weights, size_t rows, size_t targets, size_t stride, float *sums) {
  for (size_t target = 0; target < targets; target++, sums += stride)
    for (size_t row = 0; row < rows; row++) sums[row] = __builtin_fmaf(weights[target], numbers[row], sums[row]);
}

// Whether some sum is zero or no number.
INLINED bool mirrored_body(const float *sums, const float *intercepts, bool adds, size_t rows, float *scores) {
  int unsure = 0;
  for (size_t row = 0; row < rows; row++) unsure |= !(__builtin_fabsf(sums[row]) > 0);
  if (adds) {
    for (size_t row = 0; row < rows; row++) {
      scores[2 * row] = sums[row] + scores[2 * row];
      scores[2 * row + 1] = -sums[row] + scores[2 * row + 1];
    }
  } else if (intercepts != NULL) {
    const float first = intercepts[0], second = intercepts[1];
    for (size_t row = 0; row < rows; row++) {
      scores[2 * row] = sums[row] + first;
      scores[2 * row + 1] = -sums[row] + second;
    }
  } else {
    for (size_t row = 0; row < rows; row++) {
      scores[2 * row] = sums[row];
      scores[2 * row + 1] = -sums[row];
    }
  }
  return unsure != 0;
}

#define DEFINE(SUFFIX, ATTRIBUTES)                                                                                     \
  ATTRIBUTES static bool mirrored_##SUFFIX(                                                                            \
      const float *sums, const float *intercepts, bool adds, size_t rows, float *scores) {                             \
    return mirrored_body(sums, intercepts, adds, rows, scores);                                                        \
  }                                                                                                                    \
  ATTRIBUTES static void coded_##SUFFIX(                                                                               \
      const int32_t *codes, const float *weights, const float *values, size_t count, size_t rows, size_t targets,      \
      size_t stride, float *sums) {                                                                                    \
    coded_body(codes, weights, values, count, rows, targets, stride, sums);                                            \
  }                                                                                                                    \
  ATTRIBUTES static void numbers_##SUFFIX(                                                                             \
      const float *numbers, const float *weights, size_t rows, size_t targets, size_t stride, float *sums) {           \
    numbers_body(numbers, weights, rows, targets, stride, sums);                                                       \
  }

DEFINE(base, )
#if defined(__x86_64__)
DEFINE(avx2, MARTLET_AVX2)
DEFINE(avx512, MARTLET_AVX512)
#endif

INLINED void weights_body(
    const int32_t *codes, const float *weights, size_t count, size_t rows, size_t targets, size_t stride, float *sums) {
  for (size_t target = 0; target < targets; target++, weights += count, sums += stride)
    for (size_t row = 0; row < rows; row++) sums[row] = sums[row] + weights[codes[row]];
}

#if defined(__x86_64__)
// Up to 32 weights lie in two registers; more are gathered.
MARTLET_AVX512 static void weights_avx512(
    const int32_t *codes, const float *weights, size_t count, size_t rows, size_t targets, size_t stride, float *sums) {
  for (size_t target = 0; target < targets; target++, weights += count, sums += stride) {
    const __mmask16 low_mask = count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1);
    const __mmask16 high_mask = count >= 32 ? 0xffff : count > 16 ? (__mmask16)((1u << (count - 16)) - 1) : 0;
    const __m512 low = _mm512_maskz_loadu_ps(low_mask, weights);
    const __m512 high = _mm512_maskz_loadu_ps(high_mask, weights + 16);
    for (size_t row = 0; row < rows; row += 16) {
      const __mmask16 mask = rows - row >= 16 ? 0xffff : (__mmask16)((1u << (rows - row)) - 1);
      const __m512i code = _mm512_maskz_loadu_epi32(mask, codes + row);
      const __m512 sum = _mm512_maskz_loadu_ps(mask, sums + row);
      const __m512 weight = count <= 32 ? _mm512_permutex2var_ps(low, code, high)
                                        : _mm512_mask_i32gather_ps(low, mask, code, weights, 4);
      _mm512_mask_storeu_ps(sums + row, mask, _mm512_add_ps(sum, weight));
    }
  }
}
#endif

void martlet_add_weights(
    const int32_t *codes, const float *weights, size_t count, size_t rows, size_t targets, size_t stride, float *sums) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return weights_avx512(codes, weights, count, rows, targets, stride, sums);
#endif
  weights_body(codes, weights, count, rows, targets, stride, sums);
}

void martlet_add_coded(
    const int32_t *codes, const float *weights, const float *values, size_t count, size_t rows, size_t targets,
    size_t stride, float *sums) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return coded_avx512(codes, weights, values, count, rows, targets, stride, sums);
  if (martlet_level() == MARTLET_LEVEL_AVX2)
    return coded_avx2(codes, weights, values, count, rows, targets, stride, sums);
#endif
  coded_base(codes, weights, values, count, rows, targets, stride, sums);
}

bool martlet_mirrored_scores(
    const float *sums, const float *intercepts, bool adds, size_t rows, float *scores) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return mirrored_avx512(sums, intercepts, adds, rows, scores);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return mirrored_avx2(sums, intercepts, adds, rows, scores);
#endif
  return mirrored_base(sums, intercepts, adds, rows, scores);
}

void martlet_widen_codes(const uint16_t *codes, size_t step, size_t rows, int32_t *wide) {
  if (step == 1) {
    for (size_t row = 0; row < rows; row++) wide[row] = codes[row];
  } else {
    for (size_t row = 0; row < rows; row++) wide[row] = codes[row * step];
  }
}

void martlet_add_numbers(
    const float *numbers, const float *weights, size_t rows, size_t targets, size_t stride, float *sums) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return numbers_avx512(numbers, weights, rows, targets, stride, sums);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return numbers_avx2(numbers, weights, rows, targets, stride, sums);
#endif
  numbers_base(numbers, weights, rows, targets, stride, sums);
}
