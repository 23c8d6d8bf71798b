// Matrix products with a fixed order of summation, for each kind of processor.
//
// The same body is compiled for the base of the platform, where a fused multiply-add may be a call of the C library,
// and for processors that have it as an instruction. All of them give the same bits: the instruction and the call round
// once, and no other operation may be contracted.

#include "CKernels.h"

#pragma STDC FP_CONTRACT OFF

#define INLINED static inline __attribute__((always_inline))

// Four rows by one vector of columns stay in registers. A number minus a vector of zeros is that number in every lane,
// with its sign. Vectors are never passed to a function, which would have another convention for each processor.
#define DEFINE_PRODUCT(NAME, TYPE, VECTOR, LANES, SCALAR_FMA)                                                          \
  typedef TYPE VECTOR __attribute__((vector_size(LANES * sizeof(TYPE))));                                              \
                                                                                                                       \
  INLINED void NAME##_finish(TYPE *to, TYPE sum, TYPE alpha, bool adds) {                                              \
    *to = adds ? SCALAR_FMA(sum, alpha, *to) : sum * alpha;                                                            \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void NAME##_body(                                                                                            \
      const TYPE *a, const TYPE *b, TYPE *c, size_t rows, size_t depth, size_t columns, size_t part, TYPE alpha,       \
      bool accumulates) {                                                                                              \
    for (size_t first = 0; first == 0 || first < depth; first += part) {                                               \
      const size_t count = depth - first < part ? depth - first : part;                                                \
      const bool adds = accumulates || first > 0;                                                                      \
      size_t row = 0;                                                                                                  \
      for (; row + 4 <= rows; row += 4) {                                                                              \
        const TYPE *a0 = a + row * depth + first, *a1 = a0 + depth, *a2 = a1 + depth, *a3 = a2 + depth;                \
        TYPE *to = c + row * columns;                                                                                  \
        size_t column = 0;                                                                                             \
        for (; column + LANES <= columns; column += LANES) {                                                           \
          VECTOR s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, f;                                                            \
          const TYPE *from = b + first * columns + column;                                                             \
          for (size_t k = 0; k < count; k++, from += columns) {                                                        \
            __builtin_memcpy(&f, from, sizeof f);                                                                      \
            s0 = __builtin_elementwise_fma(f, a0[k] - (VECTOR){0}, s0);                                                \
            s1 = __builtin_elementwise_fma(f, a1[k] - (VECTOR){0}, s1);                                                \
            s2 = __builtin_elementwise_fma(f, a2[k] - (VECTOR){0}, s2);                                                \
            s3 = __builtin_elementwise_fma(f, a3[k] - (VECTOR){0}, s3);                                                \
          }                                                                                                            \
          for (size_t i = 0; i < LANES; i++) {                                                                         \
            NAME##_finish(to + column + i, s0[i], alpha, adds);                                                        \
            NAME##_finish(to + columns + column + i, s1[i], alpha, adds);                                              \
            NAME##_finish(to + 2 * columns + column + i, s2[i], alpha, adds);                                          \
            NAME##_finish(to + 3 * columns + column + i, s3[i], alpha, adds);                                          \
          }                                                                                                            \
        }                                                                                                              \
        for (; column < columns; column++) {                                                                           \
          TYPE s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                                         \
          const TYPE *from = b + first * columns + column;                                                             \
          for (size_t k = 0; k < count; k++, from += columns) {                                                        \
            s0 = SCALAR_FMA(*from, a0[k], s0);                                                                         \
            s1 = SCALAR_FMA(*from, a1[k], s1);                                                                         \
            s2 = SCALAR_FMA(*from, a2[k], s2);                                                                         \
            s3 = SCALAR_FMA(*from, a3[k], s3);                                                                         \
          }                                                                                                            \
          NAME##_finish(to + column, s0, alpha, adds);                                                                 \
          NAME##_finish(to + columns + column, s1, alpha, adds);                                                       \
          NAME##_finish(to + 2 * columns + column, s2, alpha, adds);                                                   \
          NAME##_finish(to + 3 * columns + column, s3, alpha, adds);                                                   \
        }                                                                                                              \
      }                                                                                                                \
      for (; row < rows; row++) {                                                                                      \
        const TYPE *a0 = a + row * depth + first;                                                                      \
        TYPE *to = c + row * columns;                                                                                  \
        size_t column = 0;                                                                                             \
        for (; column + LANES <= columns; column += LANES) {                                                           \
          VECTOR s0 = {0}, f;                                                                                          \
          const TYPE *from = b + first * columns + column;                                                             \
          for (size_t k = 0; k < count; k++, from += columns) {                                                        \
            __builtin_memcpy(&f, from, sizeof f);                                                                      \
            s0 = __builtin_elementwise_fma(f, a0[k] - (VECTOR){0}, s0);                                                \
          }                                                                                                            \
          for (size_t i = 0; i < LANES; i++) NAME##_finish(to + column + i, s0[i], alpha, adds);                       \
        }                                                                                                              \
        for (; column < columns; column++) {                                                                           \
          TYPE s0 = 0;                                                                                                 \
          const TYPE *from = b + first * columns + column;                                                             \
          for (size_t k = 0; k < count; k++, from += columns) s0 = SCALAR_FMA(*from, a0[k], s0);                       \
          NAME##_finish(to + column, s0, alpha, adds);                                                                 \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_PRODUCT(product_float, float, floats, 16, __builtin_fmaf)
DEFINE_PRODUCT(product_double, double, doubles, 8, __builtin_fma)

#define DEFINE_FUNCTION(PREFIX, TYPE, SUFFIX, ATTRIBUTES)                                                              \
  ATTRIBUTES static void PREFIX##_##SUFFIX(                                                                            \
      const TYPE *a, const TYPE *b, TYPE *c, size_t rows, size_t depth, size_t columns, size_t part, TYPE alpha,       \
      bool accumulates) {                                                                                              \
    PREFIX##_body(a, b, c, rows, depth, columns, part, alpha, accumulates);                                            \
  }

DEFINE_FUNCTION(product_float, float, base, )
DEFINE_FUNCTION(product_double, double, base, )

#if defined(__x86_64__)
DEFINE_FUNCTION(product_float, float, avx2, __attribute__((target("avx2,fma"))))
DEFINE_FUNCTION(product_double, double, avx2, __attribute__((target("avx2,fma"))))
DEFINE_FUNCTION(product_float, float, avx512, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))))
DEFINE_FUNCTION(product_double, double, avx512, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))))

#endif

void martlet_product_float(
    const float *a, const float *b, float *c, size_t rows, size_t depth, size_t columns, size_t part, float alpha,
    bool accumulates) {
#if defined(__x86_64__)
  const int level = martlet_cpu_level();
  if (level >= MARTLET_CPU_AVX512)
    return product_float_avx512(a, b, c, rows, depth, columns, part, alpha, accumulates);
  if (level == MARTLET_CPU_AVX2) return product_float_avx2(a, b, c, rows, depth, columns, part, alpha, accumulates);
#endif
  product_float_base(a, b, c, rows, depth, columns, part, alpha, accumulates);
}

void martlet_product_double(
    const double *a, const double *b, double *c, size_t rows, size_t depth, size_t columns, size_t part, double alpha,
    bool accumulates) {
#if defined(__x86_64__)
  const int level = martlet_cpu_level();
  if (level >= MARTLET_CPU_AVX512)
    return product_double_avx512(a, b, c, rows, depth, columns, part, alpha, accumulates);
  if (level == MARTLET_CPU_AVX2) return product_double_avx2(a, b, c, rows, depth, columns, part, alpha, accumulates);
#endif
  product_double_base(a, b, c, rows, depth, columns, part, alpha, accumulates);
}
