#ifndef MARTLET_TREE_KERNELS_H
#define MARTLET_TREE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Kernels that score tree ensembles whose input values have been replaced by codes of one byte.
//
// Every structure here is filled by the engine, which checks what comes from a model file: kernels trust their sizes
// and indices. Values are `float`, or `double` where `is_double`. All tables are aligned to 64 bytes.

/// What a processor can do, each level including those before it.
enum {
  /// The base of the platform.
  MARTLET_CPU_PORTABLE = 0,
  /// AVX2, FMA, BMI2 and POPCNT.
  MARTLET_CPU_AVX2 = 1,
  /// AVX-512 F, VL, DQ and BW.
  MARTLET_CPU_AVX512 = 2,
  /// AVX-512 with byte permutes (VBMI) and bit matrices (GFNI).
  MARTLET_CPU_AVX512_BYTES = 3,
};

/// The highest level of this processor.
int martlet_cpu_highest(void);

/// The level that kernels use: the highest, or less when the environment variable MARTLET_CPU says `portable`, `avx2`
/// or `avx512`. Constant from before main on.
int martlet_cpu_level(void);

/// A column of the input that some tree reads, and the values at which any test on it changes.
typedef struct {
  /// The column of the input.
  uint32_t feature;
  /// Number of cuts.
  uint32_t cuts;
  /// Levels of the search tree: 16 to their power is more than `cuts`.
  uint32_t levels;
  /// Index in `cuts` of the top level; the others follow, the sorted cuts last, each padded with NaN to whole blocks
  /// of 16. Element i of a level of step s is cut number (i + 1) s - 1.
  uint32_t first_cut;
  /// The columns of codes that it gives.
  uint32_t first_column, columns;
  /// Whether it gives one column, whose code is the rank itself, and 0 for NaN.
  bool is_plain;
} martlet_coded_feature;

/// How a rank becomes a code: rank less `first`, held in what a code can be, and `missing` for NaN; or by table.
typedef struct {
  uint32_t first;
  /// Index in `lookups` of the codes of ranks 0 to `cuts`, then of NaN; or UINT32_MAX.
  uint32_t lookup;
  uint16_t missing;
} martlet_code_column;

/// A category whose code stands in a column of the input, a whole number of at most 16 bits.
typedef struct {
  /// The column of the input.
  uint32_t feature;
  /// How many categories there are.
  uint32_t codes;
  /// The columns that it gives: flags, then tables.
  uint32_t first_column, flags, tables;
  /// Index of the first table, of a value for each code; the others follow.
  uint32_t first_value;
} martlet_category;

/// From codes of categories to codes of columns.
typedef struct {
  const martlet_category *categories;
  size_t count;
  /// By column, of flags: the category that has the value, all others having the other one.
  const uint16_t *own;
  const uint8_t *values, *others;
  const uint8_t *lookups;
} martlet_category_codes;

/// From values to codes. The rank of a value is the number of cuts that it is not less than.
typedef struct {
  const martlet_coded_feature *features;
  const martlet_code_column *columns;
  const void *cuts;
  const uint8_t *lookups;
  size_t feature_count;
  size_t column_count;
  bool is_double;
  int level;
  /// For at most 64 columns, none of which has a table or more than 255 cuts: two tables of 64 bytes by column, the
  /// index of its feature and the code of NaN. NULL for others.
  const uint8_t *short_rows;
  /// For the columns behind those of the features; NULL without any.
  const martlet_category_codes *categories;
} martlet_encoder;

/// Writes codes of `count` rows, of `stride` values each, in blocks of 64 rows: [block, column, 64 rows]. Codes of rows
/// that are not there are some that values have.
void martlet_encode_blocks(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes);

/// Writes codes of `count` rows: [row, `row_bytes`], the rest of a row being undefined.
void martlet_encode_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint8_t *codes, size_t row_bytes);

/// The same with codes of two bytes.
void martlet_encode_wide_rows(
    const martlet_encoder *encoder, const void *rows, size_t stride, size_t count, uint16_t *codes, size_t row_bytes);

/// The leaves of a tree and where they go.
typedef struct {
  /// Index in `values` of the table of the first output; it holds 2 to the power `bits` values, 4 to 8.
  /// The table of the next output follows.
  uint32_t first_value;
  /// Index in `outputs`.
  uint32_t first_output;
  uint32_t outputs;
  uint32_t bits;
} martlet_leaves;

/// A tree as its inner nodes, children before parents: a node is true for codes greater than its threshold.
typedef struct {
  martlet_leaves leaves;
  /// 1 to 8: a complete tree of that depth, left before right; 0: nodes with operands.
  uint32_t depth;
  uint32_t nodes;
  /// Index in `thresholds`, `columns`; and in `operands` halved.
  uint32_t first_node;
  uint32_t first_operand;
} martlet_select_tree;

/// Trees for 64 rows side by side.
typedef struct {
  martlet_encoder encoder;
  const martlet_select_tree *trees;
  size_t tree_count;
  /// The threshold in each of four bytes.
  const uint32_t *thresholds;
  /// Offset in bytes of the node's column in a block of codes.
  const uint32_t *columns;
  /// Two for each node with operands, when false and when true: 64 times the number of a leaf, or 64 times 256 more
  /// than the index of the node.
  const uint16_t *operands;
  /// The most leaves of a tree whose nodes have operands.
  uint32_t operand_leaves;
  const void *values;
  const uint32_t *outputs;
  size_t target_count;
} martlet_select_plan;

/// Bytes of temporary memory that `martlet_select` needs.
size_t martlet_select_bytes(const martlet_select_plan *plan, size_t rows);

/// Adds every tree in order to `scores`, [rows, targets].
void martlet_select(
    const martlet_select_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary);

/// A tree for one row at a time.
typedef struct {
  /// Offset in `nodes` of a complete tree of depth 6, or the link to the first chunk.
  uint32_t first_node;
  /// Index in `values`: leaves of the first output, then of the second.
  uint32_t first_value;
  uint32_t leaves;
  uint32_t first_output;
  uint32_t outputs;
} martlet_row_tree;

/// Trees for few rows.
///
/// Trees are complete ones of depth 6, or else pairs, or else chunks. A complete tree is 64 columns and 64 thresholds, of
/// one byte each, of nodes 1 to 63 in the order of levels, with the root again as node 0; its leaves are 64.
///
/// A pair is two trees of at most 32 nodes each, the root being the first: 64 columns, 64 thresholds, and 64 places each
/// of nodes when low and when high, where a node that leads to a leaf names itself. Of each 64 the second tree has the
/// last 32, which are not used when there is no second. The leaf below node n of its tree is the (2 n)th of a table of 64
/// when low, the one after it when high.
///
/// A chunk is n nodes, at most 64, the first being the root: n columns, n thresholds, and n places each of nodes when low
/// and when high, where a node that leads out of the chunk names itself; then 2 n words: where a node leads out when low
/// and when high, the number of a leaf or the complement of a link to another chunk. Thresholds are of two bytes where
/// codes are, all else of one.
///
/// A link is twice the offset in words. In a large chunk there is room for 64 of each kind of byte and it is aligned
/// to 64; a small one, whose link is odd, begins with a word that is n.
typedef struct {
  martlet_encoder encoder;
  const martlet_row_tree *trees;
  size_t tree_count;
  /// 256 bytes behind the end may be read.
  const uint8_t *nodes;
  const void *values;
  const uint32_t *outputs;
  size_t target_count;
  /// 2 to this power is at least the longest way between two nodes of a chunk or of a tree of a pair; 3 to 6.
  uint32_t jumps;
  /// The longest way itself.
  uint32_t longest_way;
  /// Whether all trees are complete.
  bool is_complete;
  /// Whether they are pairs; a tree's first node is the offset of the pair, and 32 more for the second.
  bool is_paired;
  /// Whether all trees are chunks that lead to leaves only.
  bool has_one_chunk;
  /// Whether codes and thresholds are of two bytes; trees are chunks then.
  bool is_wide;
  /// Whether all trees have one output, which is the same for all; its target then. A binary classifier in ONNX has two
  /// targets, of which its trees know one.
  bool has_one_target;
  uint32_t target;
  /// Whether they have one target, are complete or in pairs, and lie in order, nodes behind nodes and leaves behind leaves.
  bool is_regular;
} martlet_row_plan;

/// The most columns of codes that `martlet_score_rows` takes: of one byte, of two.
enum { MARTLET_ROW_COLUMNS = 256, MARTLET_WIDE_ROW_COLUMNS = 128 };

/// Bytes of temporary memory that `martlet_score_rows` needs.
size_t martlet_score_rows_bytes(const martlet_row_plan *plan, size_t rows);

/// Adds every tree in order to `scores`, [rows, targets].
void martlet_score_rows(
    const martlet_row_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary);

/// Tests of one column.
typedef struct {
  /// Offset in bytes of the column in a block of codes.
  uint32_t column;
  /// Index of its first test, and how many there are.
  uint32_t first_test, tests;
} martlet_tested_column;

/// A tree as tests of its nodes.
typedef struct {
  martlet_leaves leaves;
  /// 1 to 8: a complete tree of that depth, as in `martlet_select_tree`; 0: nodes with places.
  uint32_t depth;
  uint32_t nodes;
  /// Index in `tests`; and in `places` halved.
  uint32_t first_node;
  uint32_t first_place;
  /// Number of bits of a leaf's number.
  uint32_t planes;
} martlet_plane_tree;

/// Trees for many rows, one bit for each.
typedef struct {
  martlet_encoder encoder;
  const martlet_tested_column *columns;
  size_t column_count;
  /// Each test's threshold, in each of four bytes.
  const uint32_t *thresholds;
  size_t test_count;
  const martlet_plane_tree *trees;
  size_t tree_count;
  /// The test of each node. Nodes with places come after their parents.
  const uint16_t *tests;
  /// Two for each node with places, when low and when high: 256 more than the number of a leaf, or the index of a
  /// node.
  const uint16_t *places;
  /// Where values are `float` and the processor has byte permutes, tables of up to 64 values have 64, byte by byte: the
  /// lowest byte of each, then the next.
  const void *values;
  const uint32_t *outputs;
  size_t target_count;
  /// Whether there is one target, and each tree has one output and at most 64 leaves.
  bool is_single;
} martlet_plane_plan;

/// Bytes of temporary memory that `martlet_score_planes` needs.
size_t martlet_score_planes_bytes(const martlet_plane_plan *plan, size_t rows);

/// Adds every tree in order to `scores`, [rows, targets].
void martlet_score_planes(
    const martlet_plane_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary);

/// A tree for `martlet_gather`.
typedef struct {
  /// Index in `nodes` of its first page.
  uint32_t root;
  /// Index in `values`.
  uint32_t first_value;
  uint32_t first_output;
  uint32_t outputs;
} martlet_gather_tree;

/// Deep trees for any number of rows, on a processor with gathers (AVX2 and above).
///
/// A tree is pages of words, each of which begins at a multiple of 16. A word is an inner node when its lowest bit is 0:
/// from the highest bit down a threshold, a column, and the place in the page of its children, an even number; the
/// second follows the first, and is where codes above the threshold go. A word whose two lowest bits are 1 leads to a
/// page, by its distance from the tree's first in multiples of 16; any other is a leaf, by its number. The first word of
/// a page is where it begins, the second is not used, and children come level by level.
typedef struct {
  martlet_encoder encoder;
  const martlet_gather_tree *trees;
  size_t tree_count;
  /// 256 bytes behind the end may be read.
  const uint32_t *nodes;
  /// By tree, leaf and output of the tree.
  const void *values;
  const uint32_t *outputs;
  size_t target_count;
  /// Bits below the threshold, which has as many as a code, and below the column.
  uint32_t threshold_shift, column_shift;
  uint32_t column_mask, child_mask;
  /// Whether any tree has more than one page.
  bool has_links;
} martlet_gather_plan;

/// Bytes of temporary memory that `martlet_gather` needs.
size_t martlet_gather_bytes(const martlet_gather_plan *plan, size_t rows);

/// Adds every tree in order to `scores`, [rows, targets].
void martlet_gather(
    const martlet_gather_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary);

#endif
