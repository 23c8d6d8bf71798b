// Sums of a linear model from numbers that go through a few operations first, as an imputer's and a scaler's.

#include <string.h>

#include "CKernels.h"
#include "levels.h"

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))
#define LANES 16
#define MOST 64
// So many rows are computed one by one.
#define FEW 4

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t masks __attribute__((vector_size(LANES * sizeof(int32_t))));

#define CHOSEN(MASK, YES, NO) ((lanes)(((MASK) & (masks)(YES)) | (~(MASK) & (masks)(NO))))

#define MAP(EXPRESSION)                                                                                                \
  for (size_t i = 0; i < count; i++) {                                                                                 \
    const lanes x = values[i];                                                                                         \
    values[i] = (EXPRESSION);                                                                                          \
  }                                                                                                                    \
  break

INLINED float staged(float x, const martlet_number_stage *stages, size_t stage_count) {
  for (size_t i = 0; i < stage_count; i++) {
    const float a = stages[i].a, b = stages[i].b;
    switch (stages[i].kind) {
    case MARTLET_STAGE_REPLACE_MISSING: x = x != x ? a : x; break;
    case MARTLET_STAGE_REPLACE_EQUAL: x = x == b ? a : x; break;
    case MARTLET_STAGE_SCALE: x = (x - a) * b; break;
    case MARTLET_STAGE_ADD: x = x + a; break;
    case MARTLET_STAGE_SUBTRACT: x = x - a; break;
    case MARTLET_STAGE_SUBTRACT_FROM: x = a - x; break;
    case MARTLET_STAGE_MULTIPLY: x = x * a; break;
    case MARTLET_STAGE_DIVIDE: x = x / a; break;
    case MARTLET_STAGE_DIVIDE_INTO: x = a / x; break;
    case MARTLET_STAGE_CLIP:
      x = x < a ? a : x;
      x = x > b ? b : x;
      break;
    }
  }
  return x;
}

INLINED void stages_body(
    const float *from, size_t step, const martlet_number_stage *stages, size_t stage_count, const float *weights,
    size_t rows, size_t targets, size_t stride, float *sums) {
  if (rows <= FEW) {
    for (size_t row = 0; row < rows; row++) {
      const float x = staged(from[row * step], stages, stage_count);
      for (size_t target = 0; target < targets; target++)
        sums[target * stride + row] = __builtin_fmaf(weights[target], x, sums[target * stride + row]);
    }
    return;
  }
  lanes values[MOST / LANES];
  const size_t count = (rows + LANES - 1) / LANES;
  float *numbers = (float *)values;
  if (rows % LANES != 0) values[count - 1] = (lanes){0};
  if (step == 1) {
    memcpy(numbers, from, rows * sizeof *from);
  } else {
    for (size_t row = 0; row < rows; row++) numbers[row] = from[row * step];
  }
  for (size_t stage = 0; stage < stage_count; stage++) {
    lanes a, b;
    for (size_t i = 0; i < LANES; i++) {
      a[i] = stages[stage].a;
      b[i] = stages[stage].b;
    }
    switch (stages[stage].kind) {
    case MARTLET_STAGE_REPLACE_MISSING: MAP(CHOSEN(x != x, a, x));
    case MARTLET_STAGE_REPLACE_EQUAL: MAP(CHOSEN(x == b, a, x));
    case MARTLET_STAGE_SCALE: MAP((x - a) * b);
    case MARTLET_STAGE_ADD: MAP(x + a);
    case MARTLET_STAGE_SUBTRACT: MAP(x - a);
    case MARTLET_STAGE_SUBTRACT_FROM: MAP(a - x);
    case MARTLET_STAGE_MULTIPLY: MAP(x * a);
    case MARTLET_STAGE_DIVIDE: MAP(x / a);
    case MARTLET_STAGE_DIVIDE_INTO: MAP(a / x);
    case MARTLET_STAGE_CLIP:
      for (size_t i = 0; i < count; i++) {
        const lanes raised = CHOSEN(values[i] < a, a, values[i]);
        values[i] = CHOSEN(raised > b, b, raised);
      }
      break;
    }
  }
  for (size_t target = 0; target < targets; target++, sums += stride)
    for (size_t row = 0; row < rows; row++) sums[row] = __builtin_fmaf(weights[target], numbers[row], sums[row]);
}

#define DEFINE(SUFFIX, ATTRIBUTES)                                                                                     \
  ATTRIBUTES static void stages_##SUFFIX(                                                                              \
      const float *from, size_t step, const martlet_number_stage *stages, size_t stage_count, const float *weights,    \
      size_t rows, size_t targets, size_t stride, float *sums) {                                                       \
    stages_body(from, step, stages, stage_count, weights, rows, targets, stride, sums);                                \
  }

DEFINE(base, )
#if defined(__x86_64__)
DEFINE(avx2, MARTLET_AVX2)
DEFINE(avx512, MARTLET_AVX512)
#endif

void martlet_add_staged_numbers(
    const float *from, size_t step, const martlet_number_stage *stages, size_t stage_count, const float *weights,
    size_t rows, size_t targets, size_t stride, float *sums) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return stages_avx512(from, step, stages, stage_count, weights, rows, targets, stride, sums);
  if (martlet_level() == MARTLET_LEVEL_AVX2)
    return stages_avx2(from, step, stages, stage_count, weights, rows, targets, stride, sums);
#endif
  stages_base(from, step, stages, stage_count, weights, rows, targets, stride, sums);
}
