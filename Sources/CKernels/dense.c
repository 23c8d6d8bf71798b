// Layers of nets: a product with constant weights, a bias and a rectifier in one pass.
//
// The weights lie in panels of as many columns as a vector has lanes, so that the inner loop reads them one behind the
// other. Several rows by several panels of sums stay in registers, as many as hide the latency of a fused multiply-add.
// Every sum goes over the features in their order, as in product.c, so a layer has the bits of the operators it stands
// for, whatever the block that a row and a column are computed in.

#include "CKernels.h"
#include "levels.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

#define DEFINE_DENSE(NAME, TYPE, VECTOR, MASK, WORD, LANES)                                                                        \
  typedef TYPE VECTOR __attribute__((vector_size(LANES * sizeof(TYPE))));                                              \
  typedef WORD MASK __attribute__((vector_size(LANES * sizeof(TYPE))));                                                \
                                                                                                                       \
  typedef struct {                                                                                                     \
    const TYPE *x, *panels, *bias;                                                                                     \
    TYPE *out;                                                                                                         \
    size_t rows, depth, columns;                                                                                       \
    bool rectifies;                                                                                                    \
  } NAME##_layer;                                                                                                      \
                                                                                                                       \
  /* `rows` and `panels` are constants where this is inlined, so that the sums are registers. */                       \
  INLINED void NAME##_block(const NAME##_layer *layer, size_t row, size_t panel, const size_t rows, const size_t panels) { \
    const size_t depth = layer->depth, columns = layer->columns;                                                       \
    const TYPE *x = layer->x + row * depth;                                                                            \
    const VECTOR *weights = (const VECTOR *)layer->panels + panel * depth;                                             \
    VECTOR sums[8][4];                                                                                                 \
    UNROLLED for (size_t r = 0; r < rows; r++) UNROLLED for (size_t p = 0; p < panels; p++) sums[r][p] = (VECTOR){0};  \
    for (size_t k = 0; k < depth; k++) {                                                                               \
      UNROLLED for (size_t r = 0; r < rows; r++) {                                                                     \
        const VECTOR value = x[r * depth + k] - (VECTOR){0};                                                           \
        UNROLLED for (size_t p = 0; p < panels; p++) sums[r][p] =                                                      \
            __builtin_elementwise_fma(weights[p * depth + k], value, sums[r][p]);                                      \
      }                                                                                                                \
    }                                                                                                                  \
    UNROLLED for (size_t p = 0; p < panels; p++) {                                                                     \
      const size_t first = (panel + p) * LANES;                                                                        \
      const size_t count = columns - first < LANES ? columns - first : LANES;                                          \
      UNROLLED for (size_t r = 0; r < rows; r++) {                                                                     \
        VECTOR sum = sums[r][p];                                                                                       \
        if (layer->bias != NULL) sum = sum + *(const VECTOR *)(layer->bias + first);                                   \
        if (layer->rectifies) sum = (VECTOR)((MASK)sum & ~(sum < (VECTOR){0}));                                        \
        TYPE *to = layer->out + (row + r) * columns + first;                                                           \
        if (count == LANES)                                                                                            \
          memcpy(to, &sum, sizeof sum);                                                                                \
        else                                                                                                           \
          for (size_t i = 0; i < count; i++) to[i] = sum[i];                                                           \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void NAME##_rows(const NAME##_layer *layer, size_t panel, const size_t together, const size_t panels) {      \
    size_t row = 0;                                                                                                    \
    for (; row + together <= layer->rows; row += together) NAME##_block(layer, row, panel, together, panels);          \
    for (; row < layer->rows; row++) NAME##_block(layer, row, panel, 1, panels);                                       \
  }                                                                                                                    \
                                                                                                                       \
  /* `wide`: whether there are registers for sixteen vectors of sums. */                                               \
  INLINED void NAME##_body(const NAME##_layer *layer, const bool wide) {                                               \
    const size_t panels = (layer->columns + LANES - 1) / LANES;                                                        \
    size_t panel = 0;                                                                                                  \
    if (wide) {                                                                                                        \
      for (; panel + 4 <= panels; panel += 4) NAME##_rows(layer, panel, 4, 4);                                         \
      for (; panel + 2 <= panels; panel += 2) NAME##_rows(layer, panel, 8, 2);                                         \
      for (; panel < panels; panel++) NAME##_rows(layer, panel, 8, 1);                                                 \
    } else {                                                                                                           \
      for (; panel < panels; panel++) NAME##_rows(layer, panel, 4, 1);                                                 \
    }                                                                                                                  \
  }

DEFINE_DENSE(dense_float, float, floats, float_masks, int32_t, 16)
DEFINE_DENSE(dense_double, double, doubles, double_masks, int64_t, 8)

static void dense_float_base(const dense_float_layer *layer) { dense_float_body(layer, false); }
static void dense_double_base(const dense_double_layer *layer) { dense_double_body(layer, false); }
#if defined(__x86_64__)
MARTLET_AVX2 static void dense_float_avx2(const dense_float_layer *layer) { dense_float_body(layer, false); }
MARTLET_AVX2 static void dense_double_avx2(const dense_double_layer *layer) { dense_double_body(layer, false); }
MARTLET_AVX512 static void dense_float_avx512(const dense_float_layer *layer) { dense_float_body(layer, true); }
MARTLET_AVX512 static void dense_double_avx512(const dense_double_layer *layer) { dense_double_body(layer, true); }
#endif

void martlet_dense_float(
    const float *x, const float *panels, const float *bias, float *out, size_t rows, size_t depth, size_t columns,
    bool rectifies) {
  const dense_float_layer layer = {x, panels, bias, out, rows, depth, columns, rectifies};
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return dense_float_avx512(&layer);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return dense_float_avx2(&layer);
#endif
  dense_float_base(&layer);
}

void martlet_dense_double(
    const double *x, const double *panels, const double *bias, double *out, size_t rows, size_t depth, size_t columns,
    bool rectifies) {
  const dense_double_layer layer = {x, panels, bias, out, rows, depth, columns, rectifies};
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return dense_double_avx512(&layer);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return dense_double_avx2(&layer);
#endif
  dense_double_base(&layer);
}
