#ifndef MARTLET_CKERNELS_H
#define MARTLET_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "TreeKernels.h"
#include "WalkKernels.h"

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

/// A text by its bytes; the start may be null when there are none.
typedef struct {
  const uint8_t *start;
  size_t count;
} martlet_text;

/// Texts and their numbers. Immutable, any number of threads may look up at once.
typedef struct martlet_dictionary martlet_dictionary;

/// Numbers the texts, which are all different, in their order; copies their bytes.
martlet_dictionary *martlet_dictionary_make(const martlet_text *texts, size_t count);
void martlet_dictionary_free(martlet_dictionary *dictionary);

/// How many texts there are.
size_t martlet_dictionary_count(const martlet_dictionary *dictionary);

/// The text with that number; valid while the dictionary lives.
martlet_text martlet_dictionary_key(const martlet_dictionary *dictionary, size_t number);

/// Writes the number of every `step`th of the texts that begin at `texts`, `rows` of them; one that the dictionary does
/// not have gets the number of its texts.
void martlet_dictionary_codes(
    const martlet_dictionary *dictionary, const void *texts, size_t step, size_t rows, int32_t *codes);

/// The number of a text; that of the dictionary's texts when it does not have it.
size_t martlet_dictionary_find(const martlet_dictionary *dictionary, martlet_text text);

/// What stands before each of the texts of a message: its length in four bytes, the lowest first, or a byte, which is
/// the form's own number, and its length as a varint.
typedef enum { MARTLET_TEXTS_COUNTED = 0 } martlet_text_form;

/// Reads up to `count` texts of the `size` bytes from `position` on and writes the number of each to every `step`th of
/// the `codes`; the first is one of the texts that `dictionaries[element]` numbers, those behind are of the next of the
/// `width` dictionaries, and so around. A number is that of the texts of the dictionary where it does not have one.
///
/// Stops before a text that is not read here: one that is cut off, one whose length has several bytes, and one that its
/// dictionary does not have and that is not of ASCII characters alone. Moves `position` behind those that were read, and
/// returns how many.
size_t martlet_dictionary_read(
    const martlet_dictionary *const *dictionaries, size_t width, size_t element, martlet_text_form form,
    const uint8_t *bytes, size_t size, size_t *position, size_t count, uint16_t *codes, size_t step);

/// Adds to `sums` [targets, stride], of which `rows` of each are there, the product of the weight [targets, count] and
/// the value [count] that each row's code names, by one fused multiply-add.
void martlet_add_coded(
    const int32_t *codes, const float *weights, const float *values, size_t count, size_t rows, size_t targets,
    size_t stride, float *sums);

/// The same where all values are 1.
void martlet_add_weights(
    const int32_t *codes, const float *weights, size_t count, size_t rows, size_t targets, size_t stride, float *sums);

/// Writes the scores [rows, 2] of two classes of which one's sums are the other's negatives: the sums plus the intercepts
/// where there are any, or added to the scores that are there. Returns whether a sum is zero or not a number.
bool martlet_mirrored_scores(
    const float *sums, const float *intercepts, bool adds, size_t rows, float *scores);

/// Writes every `step`th of the codes in four bytes.
void martlet_widen_codes(const uint16_t *codes, size_t step, size_t rows, int32_t *wide);

/// An operation on a number x.
typedef enum {
  MARTLET_STAGE_REPLACE_MISSING,  ///< a in place of a NaN
  MARTLET_STAGE_REPLACE_EQUAL,    ///< a in place of b
  MARTLET_STAGE_SCALE,            ///< (x - a) * b
  MARTLET_STAGE_ADD,              ///< x + a
  MARTLET_STAGE_SUBTRACT,         ///< x - a
  MARTLET_STAGE_SUBTRACT_FROM,    ///< a - x
  MARTLET_STAGE_MULTIPLY,         ///< x * a
  MARTLET_STAGE_DIVIDE,           ///< x / a
  MARTLET_STAGE_DIVIDE_INTO,      ///< a / x
  MARTLET_STAGE_CLIP,             ///< at least a, at most b
} martlet_stage_kind;

typedef struct {
  martlet_stage_kind kind;
  float a, b;
} martlet_number_stage;

/// The same for every `step`th number, of at most 64 rows, after the stages, and one weight for each target.
void martlet_add_staged_numbers(
    const float *from, size_t step, const martlet_number_stage *stages, size_t stage_count, const float *weights,
    size_t rows, size_t targets, size_t stride, float *sums);

/// The same for a number of each row and one weight for each target.
void martlet_add_numbers(
    const float *numbers, const float *weights, size_t rows, size_t targets, size_t stride, float *sums);

/// Writes `x` [rows, depth] times weights, plus `bias` where it is not null, to `out` [rows, columns]; what is below 0
/// becomes 0 when `rectifies`.
///
/// `panels` hold the weights sixteen columns at a time, [columns / 16 rounded up, depth, 16], zeros behind the last;
/// `bias` is padded alike, and both begin at a multiple of 64 bytes. An element is summed in the order of the inner
/// dimension by fused multiply-adds, starting from 0; the bias is added to the sum.
void martlet_dense_float(
    const float *x, const float *panels, const float *bias, float *out, size_t rows, size_t depth, size_t columns,
    bool rectifies);

/// The same in double precision, in panels of eight columns.
void martlet_dense_double(
    const double *x, const double *panels, const double *bias, double *out, size_t rows, size_t depth, size_t columns,
    bool rectifies);

/// Replaces each number by its exponential, with the bits of the C library's expf.
void martlet_exp_float(float *values, size_t count);

/// Writes 1 / (1 + exp(-x)) of two scores a row, each computed of its magnitude: 1 less that of |x| where x is negative.
/// The exponential has the bits of the C library's expf.
void martlet_logistic_pairs(const float *scores, float *out, size_t rows);

/// Writes the second of two labels where the second of a row's two scores is greater, the first elsewhere.
void martlet_greater_labels(const float *scores, const int64_t *labels, int64_t *out, size_t rows);

/// Writes the hyperbolic tangent of each number, which may be in place, with the bits of ONNX Runtime's.
void martlet_tanh_float(const float *from, float *to, size_t count);

/// Writes exp(-gamma |x - v|^2) for all `x` [rows, depth] and vectors v, the columns of `vectors` [depth, count], to
/// `out` [rows, count]. Squares are summed in the order of the features, without fused operations.
void martlet_radial_kernel(
    const float *x, const float *vectors, float *out, size_t rows, size_t depth, size_t count, float gamma);

/// Writes the squared distances of the columns of `a` [depth, columns] and the rows of `b` [rows, depth]: that of a
/// column and a row to `out[column * column_step + row * row_step]`.
///
/// Squares are summed in the order of the features, without fused operations, whatever lies in the lanes.
void martlet_distances_float(
    const float *a, const float *b, float *out, size_t columns, size_t rows, size_t depth, size_t column_step,
    size_t row_step);

/// The same in double precision.
void martlet_distances_double(
    const double *a, const double *b, double *out, size_t columns, size_t rows, size_t depth, size_t column_step,
    size_t row_step);

/// Scores every pair of classes i < j from the values of a kernel: writes `scores` [rows, classes (classes - 1) / 2].
///
/// `kernels` [rows, count], where the vectors of class c are those from `starts[c]` to `starts[c + 1]`, whose last is
/// count. `coefficients` [count, classes - 1] are those of each vector against the other classes. A score is the sum,
/// in double precision, of the products of the vectors of i, then of j, then `rho` of the pair.
/// `sums` has room for classes (classes - 1) / 2 + classes - 1 numbers.
void martlet_class_pairs(
    const float *kernels, const float *coefficients, const int32_t *starts, size_t classes, const float *rho,
    size_t rows, double *sums, float *scores);

#endif
