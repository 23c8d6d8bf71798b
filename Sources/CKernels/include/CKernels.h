#ifndef MARTLET_CKERNELS_H
#define MARTLET_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>

/// Writes alpha times `a` [rows, depth] times `b` [depth, columns] to `c` [rows, columns], or adds it to `c`.
///
/// An element is summed in the order of the inner dimension by fused multiply-adds, in parts of `part` products that
/// start from 0 and are then added to it. The order depends on nothing else, so a row has the same bits in every batch
/// and on every processor.
void martlet_product_float(
    const float *a, const float *b, float *c, size_t rows, size_t depth, size_t columns, size_t part, float alpha,
    bool accumulates);

/// The same in double precision.
void martlet_product_double(
    const double *a, const double *b, double *c, size_t rows, size_t depth, size_t columns, size_t part, double alpha,
    bool accumulates);

#endif
