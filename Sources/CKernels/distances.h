#ifndef MARTLET_CKERNELS_DISTANCES_H
#define MARTLET_CKERNELS_DISTANCES_H

// Squared distances of all columns of one matrix to all rows of another, with a fixed order of summation.
//
// A lane is a column, and its sum runs over the features in their order, without fused operations: so an element has
// the same bits whichever of the two matrices lies in the lanes and however many rows there are.

#include <stddef.h>
#include <string.h>

// NAME(a, b, out, columns, rows, depth, column_step, row_step): a [depth, columns], b [rows, depth]; writes
// out[column * column_step + row * row_step].
#define DEFINE_SQUARED_DISTANCES(NAME, TYPE, VECTOR, LANES)                                                            \
  typedef TYPE VECTOR __attribute__((vector_size(LANES * sizeof(TYPE))));                                              \
                                                                                                                       \
  static inline __attribute__((always_inline)) void NAME##_store(                                                      \
      const VECTOR *sums, TYPE *out, size_t rows, size_t column_step, size_t row_step) {                               \
    for (size_t row = 0; row < rows; row++) {                                                                          \
      if (column_step == 1) {                                                                                          \
        memcpy(out + row * row_step, sums + row, sizeof *sums);                                                        \
      } else {                                                                                                         \
        for (size_t i = 0; i < LANES; i++) out[i * column_step + row * row_step] = sums[row][i];                       \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  static inline __attribute__((always_inline)) void NAME##_four(                                                       \
      const TYPE *a, const TYPE *b, TYPE *out, size_t columns, size_t depth, size_t column_step, size_t row_step) {    \
    VECTOR sums[4] = {{0}, {0}, {0}, {0}}, column;                                                                     \
    for (size_t k = 0; k < depth; k++, a += columns) {                                                                 \
      memcpy(&column, a, sizeof column);                                                                               \
      for (size_t row = 0; row < 4; row++) {                                                                           \
        const VECTOR difference = b[row * depth + k] - column;                                                         \
        sums[row] += difference * difference;                                                                          \
      }                                                                                                                \
    }                                                                                                                  \
    NAME##_store(sums, out, 4, column_step, row_step);                                                                 \
  }                                                                                                                    \
                                                                                                                       \
  static inline __attribute__((always_inline)) void NAME##_one(                                                        \
      const TYPE *a, const TYPE *b, TYPE *out, size_t columns, size_t depth, size_t column_step) {                     \
    VECTOR sum = {0}, column;                                                                                          \
    for (size_t k = 0; k < depth; k++, a += columns) {                                                                 \
      memcpy(&column, a, sizeof column);                                                                               \
      const VECTOR difference = b[k] - column;                                                                         \
      sum += difference * difference;                                                                                  \
    }                                                                                                                  \
    NAME##_store(&sum, out, 1, column_step, 0);                                                                        \
  }                                                                                                                    \
                                                                                                                       \
  static inline __attribute__((always_inline)) void NAME(                                                              \
      const TYPE *a, const TYPE *b, TYPE *out, size_t columns, size_t rows, size_t depth, size_t column_step,          \
      size_t row_step) {                                                                                               \
    const size_t whole = columns / LANES * LANES;                                                                      \
    size_t row = 0;                                                                                                    \
    for (; row + 4 <= rows; row += 4) {                                                                                \
      for (size_t i = 0; i < whole; i += LANES)                                                                        \
        NAME##_four(                                                                                                   \
            a + i, b + row * depth, out + i * column_step + row * row_step, columns, depth, column_step, row_step);    \
    }                                                                                                                  \
    for (; row < rows; row++) {                                                                                        \
      for (size_t i = 0; i < whole; i += LANES)                                                                        \
        NAME##_one(a + i, b + row * depth, out + i * column_step + row * row_step, columns, depth, column_step);       \
    }                                                                                                                  \
    for (size_t i = whole; i < columns; i++) {                                                                         \
      for (row = 0; row < rows; row++) {                                                                               \
        TYPE sum = 0;                                                                                                  \
        for (size_t k = 0; k < depth; k++) {                                                                           \
          const TYPE difference = b[row * depth + k] - a[k * columns + i];                                             \
          sum += difference * difference;                                                                              \
        }                                                                                                              \
        out[i * column_step + row * row_step] = sum;                                                                   \
      }                                                                                                                \
    }                                                                                                                  \
  }

#endif
