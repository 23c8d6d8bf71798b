#ifndef MARTLET_WALK_KERNELS_H
#define MARTLET_WALK_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "TreeKernels.h"

// Trees whose siblings lie side by side, walked by several rows or in several trees at once, so that the processor
// waits for many nodes at the same time.
//
// The bits of a node's word, from the lowest: four that say for each outcome of comparing the value with the threshold
// whether the way goes to the second child (MARTLET_WALK_…); one that is set in inner nodes; the column. A leaf goes to
// itself: all its bits are 0, and its value is what it adds, or the index of its weights.

/// Outcomes of a comparison, as bits of a word.
#define MARTLET_WALK_MISSING 1u
#define MARTLET_WALK_LESS 2u
#define MARTLET_WALK_GREATER 4u
#define MARTLET_WALK_EQUAL 8u
/// The node is an inner one.
#define MARTLET_WALK_INNER 16u
/// Where the column begins in a word.
#define MARTLET_WALK_COLUMN_SHIFT 5
/// Rows that are walked side by side.
#define MARTLET_WALK_LANES 8

/// The distance in nodes to the first child lies in the word above the column, with a sign.
typedef struct {
  float value;
  uint32_t word;
} martlet_walk_narrow;

typedef struct {
  float value;
  uint32_t word;
  int32_t child;
} martlet_walk_wide;

typedef struct {
  double value;
  uint32_t word;
  int32_t child;
} martlet_walk_double;

/// How the leaves of a row become sums.
typedef enum {
  /// One target: the leaf's value is added.
  MARTLET_WALK_ONE_TARGET,
  /// The leaf's value is added to the target of its tree.
  MARTLET_WALK_TREE_TARGET,
  /// The leaf's value, as bits, is the index of its weights.
  MARTLET_WALK_WEIGHTS,
} martlet_walk_leaves;

typedef struct {
  int32_t target;
  float value;
} martlet_walk_weight_float;

typedef struct {
  int32_t target;
  double value;
} martlet_walk_weight_double;

typedef struct {
  /// Of one of the three types.
  const void *nodes;
  size_t node_count;
  /// Index of each tree's first node.
  const uint32_t *roots;
  /// Levels of each tree in which no leaf lies.
  const uint16_t *levels;
  /// One more than the last tree of each group; a group's nodes fit into a cache.
  const uint32_t *groups;
  size_t group_count;
  /// The input's column of each column of the trees.
  const uint32_t *columns;
  size_t column_count;
  /// Columns behind them, which the caller fills: one for each test of a set.
  size_t set_count;
  /// Of narrow nodes: bits of a word that are the column, and how many lie below the distance.
  uint32_t column_mask;
  uint32_t child_shift;
  /// Whether all nodes go to the second child exactly when the value is greater, or missing and their bit says so.
  bool is_plain;
  martlet_walk_leaves leaves;
  size_t targets;
  /// By tree, for MARTLET_WALK_TREE_TARGET.
  const int32_t *tree_targets;
  /// For MARTLET_WALK_WEIGHTS: where the weights of a leaf begin, at its index, and end, at the next; and the weights.
  const uint32_t *first_weights;
  const void *weights;
} martlet_walk_trees;

/// From codes of categories to values of columns, which are the last of a tile. Values are of the rows' type.
typedef struct {
  const martlet_category *categories;
  size_t count;
  /// How many columns there are, from 0 on.
  size_t columns;
  /// By column: the category that has the value, all others having the other one.
  const uint32_t *own;
  const void *values, *others;
  const void *lookups;
} martlet_category_values;

/// Fills the columns of categories in tiles of `columns` columns; returns whether any value is NaN.
bool martlet_category_tiles_float(
    const martlet_category_values *categories, const float *rows, size_t stride, size_t count, float *tiles,
    size_t columns);
bool martlet_category_tiles_double(
    const martlet_category_values *categories, const double *rows, size_t stride, size_t count, double *tiles,
    size_t columns);

/// The same for one row, [columns].
bool martlet_category_row_float(
    const martlet_category_values *categories, const float *row, float *to, size_t columns);
bool martlet_category_row_double(
    const martlet_category_values *categories, const double *row, double *to, size_t columns);

/// Lays `count` rows of [count, stride] out in tiles of MARTLET_WALK_LANES rows: [tiles][columns and sets][lanes]. The
/// last tile repeats its first row. Columns of sets stay as they are. Returns whether any value is NaN.
bool martlet_walk_tiles_float(
    const martlet_walk_trees *trees, const float *rows, size_t stride, size_t count, float *tiles);
bool martlet_walk_tiles_double(
    const martlet_walk_trees *trees, const double *rows, size_t stride, size_t count, double *tiles);

/// Adds all trees in order to `values` [count, targets] for rows that `tiles` hold; `is_scored` [count, targets] is
/// set where weights are added (not with one target). `has_missing` is whether any value of the tiles may be NaN.
void martlet_walk_narrow_rows(
    const martlet_walk_trees *trees, const float *tiles, size_t count, bool has_missing, float *values,
    bool *is_scored);
void martlet_walk_wide_rows(
    const martlet_walk_trees *trees, const float *tiles, size_t count, bool has_missing, float *values,
    bool *is_scored);
void martlet_walk_double_rows(
    const martlet_walk_trees *trees, const double *tiles, size_t count, bool has_missing, double *values,
    bool *is_scored);

/// The same for one row, `row` [columns and sets], with many trees side by side.
void martlet_walk_narrow_row(
    const martlet_walk_trees *trees, const float *row, bool has_missing, float *values, bool *is_scored);
void martlet_walk_wide_row(
    const martlet_walk_trees *trees, const float *row, bool has_missing, float *values, bool *is_scored);
void martlet_walk_double_row(
    const martlet_walk_trees *trees, const double *row, bool has_missing, double *values, bool *is_scored);

#endif
