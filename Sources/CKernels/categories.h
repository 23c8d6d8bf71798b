// What the encoder of numbers asks of that of categories.

#ifndef MARTLET_CATEGORIES_H
#define MARTLET_CATEGORIES_H

#include "CKernels.h"

/// Writes the columns of categories as `martlet_encode_blocks` and `martlet_encode_rows` write those of features.
void martlet_encode_category_blocks(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes);
void martlet_encode_category_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, void *codes, size_t row_bytes,
    bool is_wide);

#endif
