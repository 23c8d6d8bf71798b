// What a logistic regression of two classes makes of its scores: labels and probabilities.

#include <math.h>

#include "CKernels.h"
#include "exponential.h"
#include "levels.h"

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))
#define LANES 8

// The function of each |x|.
INLINED void magnitudes(const float *x, float *y) {
  for (size_t i = 0; i < LANES; i++) y[i] = -fabsf(x[i]);
  exponential_of_eight(y);
  for (size_t i = 0; i < LANES; i++) y[i] = 1 / (1 + y[i]);
}

INLINED void pairs_body(const float *scores, float *out, size_t rows) {
  for (size_t row = 0; row < rows; row += LANES, scores += 2 * LANES, out += 2 * LANES) {
    const size_t some = rows - row < LANES ? rows - row : LANES;
    float both[2 * LANES] = {0}, first[LANES], second[LANES], of_first[LANES], of_second[LANES];
    memcpy(both, scores, 2 * some * sizeof *both);
    int others = 0;
    for (size_t i = 0; i < LANES; i++) {
      first[i] = both[2 * i];
      second[i] = both[2 * i + 1];
      others |= first[i] != -second[i];
    }
    // One exponential does for both where the scores mirror each other.
    magnitudes(first, of_first);
    if (others) {
      magnitudes(second, of_second);
    } else {
      memcpy(of_second, of_first, sizeof of_second);
    }
    for (size_t i = 0; i < LANES; i++) {
      both[2 * i] = first[i] < 0 ? 1 - of_first[i] : of_first[i];
      both[2 * i + 1] = second[i] < 0 ? 1 - of_second[i] : of_second[i];
    }
    memcpy(out, both, 2 * some * sizeof *both);
  }
}

INLINED void greater_body(const float *scores, const int64_t *labels, int64_t *out, size_t rows) {
  const int64_t first = labels[0], second = labels[1];
  for (size_t row = 0; row < rows; row++) out[row] = scores[2 * row + 1] > scores[2 * row] ? second : first;
}

#define DEFINE(SUFFIX, ATTRIBUTES)                                                                                     \
  ATTRIBUTES static void pairs_##SUFFIX(const float *scores, float *out, size_t rows) {                                \
    pairs_body(scores, out, rows);                                                                                     \
  }                                                                                                                    \
  ATTRIBUTES static void greater_##SUFFIX(const float *scores, const int64_t *labels, int64_t *out, size_t rows) {     \
    greater_body(scores, labels, out, rows);                                                                           \
  }

DEFINE(base, )
#if defined(__x86_64__)
DEFINE(avx2, MARTLET_AVX2)
DEFINE(avx512, MARTLET_AVX512)
#define DISPATCH(NAME, ...)                                                                                            \
  if (martlet_level() == MARTLET_LEVEL_AVX512) return NAME##_avx512(__VA_ARGS__);                                      \
  if (martlet_level() == MARTLET_LEVEL_AVX2) return NAME##_avx2(__VA_ARGS__);                                          \
  NAME##_base(__VA_ARGS__)
#else
#define DISPATCH(NAME, ...) NAME##_base(__VA_ARGS__)
#endif

void martlet_logistic_pairs(const float *scores, float *out, size_t rows) { DISPATCH(pairs, scores, out, rows); }

void martlet_greater_labels(const float *scores, const int64_t *labels, int64_t *out, size_t rows) {
  DISPATCH(greater, scores, labels, out, rows);
}
