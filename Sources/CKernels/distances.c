// Squared distances for each kind of processor; distances.h says how they are summed.

#include "CKernels.h"
#include "levels.h"

#pragma STDC FP_CONTRACT OFF

#include "distances.h"

DEFINE_SQUARED_DISTANCES(distances_of_floats, float, float_lanes, 16)
DEFINE_SQUARED_DISTANCES(distances_of_doubles, double, double_lanes, 8)

#define DEFINE_FUNCTIONS(SUFFIX, ATTRIBUTES)                                                                           \
  ATTRIBUTES static void floats_##SUFFIX(                                                                              \
      const float *a, const float *b, float *out, size_t columns, size_t rows, size_t depth, size_t column_step,       \
      size_t row_step) {                                                                                               \
    distances_of_floats(a, b, out, columns, rows, depth, column_step, row_step);                                       \
  }                                                                                                                    \
  ATTRIBUTES static void doubles_##SUFFIX(                                                                             \
      const double *a, const double *b, double *out, size_t columns, size_t rows, size_t depth, size_t column_step,    \
      size_t row_step) {                                                                                               \
    distances_of_doubles(a, b, out, columns, rows, depth, column_step, row_step);                                      \
  }

DEFINE_FUNCTIONS(base, )
#if defined(__x86_64__)
DEFINE_FUNCTIONS(avx2, MARTLET_AVX2)
DEFINE_FUNCTIONS(avx512, MARTLET_AVX512)
#endif

void martlet_distances_float(
    const float *a, const float *b, float *out, size_t columns, size_t rows, size_t depth, size_t column_step,
    size_t row_step) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return floats_avx512(a, b, out, columns, rows, depth, column_step, row_step);
  if (martlet_level() == MARTLET_LEVEL_AVX2)
    return floats_avx2(a, b, out, columns, rows, depth, column_step, row_step);
#endif
  floats_base(a, b, out, columns, rows, depth, column_step, row_step);
}

void martlet_distances_double(
    const double *a, const double *b, double *out, size_t columns, size_t rows, size_t depth, size_t column_step,
    size_t row_step) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return doubles_avx512(a, b, out, columns, rows, depth, column_step, row_step);
  if (martlet_level() == MARTLET_LEVEL_AVX2)
    return doubles_avx2(a, b, out, columns, rows, depth, column_step, row_step);
#endif
  doubles_base(a, b, out, columns, rows, depth, column_step, row_step);
}
