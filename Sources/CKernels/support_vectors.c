// Kernels of support vector machines, for each kind of processor, with the same bits on all of them and in every batch.
//
// Support vectors lie side by side, so a lane is one of them and its sum runs over the features in their order; no
// operation may be contracted into a fused one.

#include "CKernels.h"
#include "exponential.h"
#include "levels.h"

#pragma STDC FP_CONTRACT OFF

#include "distances.h"

#define INLINED static inline __attribute__((always_inline))

DEFINE_SQUARED_DISTANCES(distances_of_vectors, float, lanes, 16)

INLINED void exponentials_body(float *values, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) exponential_of_eight(values + i);
  if (i == count) return;
  float rest[8] = {0};
  memcpy(rest, values + i, (count - i) * sizeof *rest);
  exponential_of_eight(rest);
  memcpy(values + i, rest, (count - i) * sizeof *rest);
}

INLINED void radial_body(
    const float *x, const float *vectors, float *out, size_t rows, size_t depth, size_t count, float gamma) {
  distances_of_vectors(vectors, x, out, count, rows, depth, 1, count);
  for (size_t i = 0; i < rows * count; i++) out[i] *= -gamma;
  exponentials_body(out, rows * count);
}

// Every pair of classes (i, j) sums the products of the vectors of i with row j - 1 of the coefficients, then those of
// the vectors of j with row i. So a vector of class c adds its products with all rows to the sums of all pairs of c,
// and walking through the vectors in their order keeps the order of every sum.
INLINED void pairs_body(
    const float *kernels, const float *coefficients, const int32_t *starts, size_t classes, const float *rho,
    size_t rows, double *sums, float *scores) {
  const size_t others = classes - 1;
  const size_t pairs = classes * others / 2;
  const size_t count = (size_t)starts[classes];
  for (size_t row = 0; row < rows; row++, kernels += count, scores += pairs) {
    double *own = sums + pairs;
    for (size_t p = 0; p < pairs; p++) sums[p] = 0;
    for (size_t c = 0; c < classes; c++) {
      // Pair (i, j) is number i (2 classes - i - 1) / 2 + j - i - 1; other r is class r before c, and r + 1 behind it.
      for (size_t r = 0; r < others; r++) {
        const size_t i = r < c ? r : c, j = r < c ? c : r + 1;
        own[r] = sums[i * (2 * classes - i - 1) / 2 + j - i - 1];
      }
      const float *factors = coefficients + (size_t)starts[c] * others;
      for (int32_t m = starts[c]; m < starts[c + 1]; m++, factors += others) {
        const float kernel = kernels[m];
        for (size_t r = 0; r < others; r++) own[r] += (double)(factors[r] * kernel);
      }
      for (size_t r = 0; r < others; r++) {
        const size_t i = r < c ? r : c, j = r < c ? c : r + 1;
        sums[i * (2 * classes - i - 1) / 2 + j - i - 1] = own[r];
      }
    }
    for (size_t p = 0; p < pairs; p++) scores[p] = (float)(sums[p] + rho[p]);
  }
}

// With two classes there is one sum, a chain of additions as long as there are vectors: eight rows go side by side.
INLINED void two_classes_body(
    const float *kernels, const float *coefficients, size_t count, float rho, size_t rows, float *scores) {
  size_t row = 0;
  for (; row + 8 <= rows; row += 8, kernels += 8 * count) {
    exp_doubles sum = {0};
    for (size_t m = 0; m < count; m++) {
      exp_floats kernel;
      for (size_t i = 0; i < 8; i++) kernel[i] = kernels[i * count + m];
      sum += __builtin_convertvector(kernel * coefficients[m], exp_doubles);
    }
    const exp_floats score = __builtin_convertvector(sum + rho, exp_floats);
    memcpy(scores + row, &score, sizeof score);
  }
  for (; row < rows; row++, kernels += count) {
    double sum = 0;
    for (size_t m = 0; m < count; m++) sum += (double)(coefficients[m] * kernels[m]);
    scores[row] = (float)(sum + rho);
  }
}

#define DEFINE_FUNCTIONS(SUFFIX, ATTRIBUTES)                                                                           \
  ATTRIBUTES static void exponentials_##SUFFIX(float *values, size_t count) { exponentials_body(values, count); }      \
  ATTRIBUTES static void radial_##SUFFIX(                                                                              \
      const float *x, const float *vectors, float *out, size_t rows, size_t depth, size_t count, float gamma) {        \
    radial_body(x, vectors, out, rows, depth, count, gamma);                                                           \
  }                                                                                                                    \
  ATTRIBUTES static void pairs_##SUFFIX(                                                                               \
      const float *kernels, const float *coefficients, const int32_t *starts, size_t classes, const float *rho,        \
      size_t rows, double *sums, float *scores) {                                                                      \
    if (classes == 2) {                                                                                                \
      two_classes_body(kernels, coefficients, (size_t)starts[2], rho[0], rows, scores);                                \
    } else {                                                                                                           \
      pairs_body(kernels, coefficients, starts, classes, rho, rows, sums, scores);                                     \
    }                                                                                                                  \
  }

DEFINE_FUNCTIONS(base, )

#if defined(__x86_64__)
DEFINE_FUNCTIONS(avx2, MARTLET_AVX2)
DEFINE_FUNCTIONS(avx512, MARTLET_AVX512)
#define DISPATCH(NAME, ...)                                                                                            \
  switch (martlet_level()) {                                                                                           \
  case MARTLET_LEVEL_AVX512: return NAME##_avx512(__VA_ARGS__);                                                        \
  case MARTLET_LEVEL_AVX2: return NAME##_avx2(__VA_ARGS__);                                                            \
  default: return NAME##_base(__VA_ARGS__);                                                                            \
  }
#else
#define DISPATCH(NAME, ...) NAME##_base(__VA_ARGS__)
#endif

void martlet_exp_float(float *values, size_t count) { DISPATCH(exponentials, values, count) }

void martlet_radial_kernel(
    const float *x, const float *vectors, float *out, size_t rows, size_t depth, size_t count, float gamma) {
  DISPATCH(radial, x, vectors, out, rows, depth, count, gamma)
}

void martlet_class_pairs(
    const float *kernels, const float *coefficients, const int32_t *starts, size_t classes, const float *rho,
    size_t rows, double *sums, float *scores) {
  DISPATCH(pairs, kernels, coefficients, starts, classes, rho, rows, sums, scores)
}
