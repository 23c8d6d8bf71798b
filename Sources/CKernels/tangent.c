// The hyperbolic tangent of floats with the bits of ONNX Runtime's, for each kind of processor.
//
// A quotient of polynomials in x^2, the approximation that Eigen and ONNX Runtime share, by fused multiply-adds; its
// error is below 3e-7. What matters is that the bits are theirs: a support vector machine multiplies differences by
// coefficients of any size.

#include <string.h>

#include "CKernels.h"
#include "levels.h"

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))
#define LANES 16

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t masks __attribute__((vector_size(LANES * sizeof(int32_t))));

INLINED void tangents_of_lanes(float *values) {
  static const float above[] = {
      2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
      1.48572235717979e-05f, 6.37261928875436e-04f,  4.89352455891786e-03f};
  static const float below[] = {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f};
  const lanes zero = {0};
  lanes x;
  memcpy(&x, values, sizeof x);
  // Beyond 9 the result is 1. A NaN fails both comparisons and stays.
  const masks high = x > 9.0f, low = x < -9.0f;
  x = (lanes)(((masks)x & ~(high | low)) | ((masks)(zero + 9.0f) & high) | ((masks)(zero - 9.0f) & low));
  const lanes square = x * x;
  lanes p = zero - 2.76076847742355e-16f;
  for (size_t i = 0; i < 6; i++) p = __builtin_elementwise_fma(p, square, zero + above[i]);
  lanes q = zero + 1.19825839466702e-06f;
  for (size_t i = 0; i < 3; i++) q = __builtin_elementwise_fma(q, square, zero + below[i]);
  const lanes result = p * x / q;
  memcpy(values, &result, sizeof result);
}

INLINED void tangents_body(const float *from, float *to, size_t count) {
  float block[LANES] = {0};
  for (size_t i = 0; i < count; i += LANES) {
    const size_t some = count - i < LANES ? count - i : LANES;
    memcpy(block, from + i, some * sizeof *block);
    tangents_of_lanes(block);
    memcpy(to + i, block, some * sizeof *block);
  }
}

static void tangents_base(const float *from, float *to, size_t count) { tangents_body(from, to, count); }

#if defined(__x86_64__)
MARTLET_AVX2 static void tangents_avx2(const float *from, float *to, size_t count) { tangents_body(from, to, count); }
MARTLET_AVX512 static void tangents_avx512(const float *from, float *to, size_t count) {
  tangents_body(from, to, count);
}
#endif

void martlet_tanh_float(const float *from, float *to, size_t count) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return tangents_avx512(from, to, count);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return tangents_avx2(from, to, count);
#endif
  tangents_base(from, to, count);
}
