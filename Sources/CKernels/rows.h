#ifndef MARTLET_ROWS_H
#define MARTLET_ROWS_H

#include "leaves.h"

// The most columns of codes of one byte that the functions below take.
#define AVX2_ROW_COLUMNS 64

// Adds trees that are complete or in pairs to `scores` [count, targets], from rows of codes of one byte.
void martlet_rows_avx2_float(
    const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, float *scores);
void martlet_rows_avx2_double(
    const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, double *scores);

#endif
