// Trees walked by eight rows at once, or by one row in many trees at once.
//
// A step is two loads, a comparison and an addition, of which each waits for the one before: some 16 cycles, and more
// where nodes come from far. Eight rows at once fill the processor, and the nodes of the next trees are fetched
// meanwhile. One row goes down all trees level by level, and each node is fetched a level before it is looked at.
// Nothing branches on a row's values but the end of a tree.

#include "WalkKernels.h"

#define INLINED static inline __attribute__((always_inline))
#define LANES MARTLET_WALK_LANES
#define TREES_AT_ONCE 256
#define LINE 64
// Tiles that are worth fetching all nodes for.
#define FETCHING_TILES 3
#define EIGHT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

// From the node at P, with the value at VALUE_BYTES of one lane's or row's values, to a child; a leaf stays.
#define STEP(P, VALUES, TYPE, COLUMN, CHILD, IS_PLAIN)                                                                 \
  do {                                                                                                                 \
    const uint32_t word = (P)->word;                                                                                   \
    const TYPE x = *(const TYPE *)((const char *)(VALUES) + COLUMN(word));                                             \
    uint32_t second;                                                                                                   \
    if (IS_PLAIN) {                                                                                                    \
      second = (uint32_t)(x > (P)->value) & (word >> 4);                                                               \
    } else {                                                                                                           \
      const uint32_t outcome = (uint32_t)(x <= (P)->value) | (uint32_t)(x >= (P)->value) << 1;                         \
      second = word >> outcome & 1;                                                                                    \
    }                                                                                                                  \
    (P) += (int64_t)CHILD(P, word) + second;                                                                           \
  } while (0)

#define AT_ROOT(I) p[I] = root;
#define COLLECT(I) words |= p[I]->word;
#define ADD_VALUE(I) sums[I] += p[I]->value;
#define TILE_STEP(T, COLUMN, CHILD)                                                                                    \
  do {                                                                                                                 \
    STEP(p[0], tile + 0, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[1], tile + 1, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[2], tile + 2, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[3], tile + 3, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[4], tile + 4, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[5], tile + 5, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[6], tile + 6, T, COLUMN, CHILD, is_plain);                                                                  \
    STEP(p[7], tile + 7, T, COLUMN, CHILD, is_plain);                                                                  \
  } while (0)

#define NARROW_CHILD(P, WORD) ((int32_t)(WORD) >> child_shift)
#define WIDE_CHILD(P, WORD) ((P)->child)
// The column's place in bytes in a tile of eight rows of four or eight bytes, and in a single row.
#define NARROW_TILE(WORD) ((size_t)((WORD) & column_mask))
#define NARROW_ROW(WORD) ((size_t)((WORD) & column_mask) >> 3)
#define WIDE_TILE(WORD) ((size_t)((WORD) & ~31u))
#define WIDE_ROW(WORD) ((size_t)((WORD) & ~31u) >> 3)
#define DOUBLE_TILE(WORD) ((size_t)((WORD) & ~31u) << 1)
#define DOUBLE_ROW(WORD) ((size_t)((WORD) & ~31u) >> 2)

#define DEFINE_WALK(NAME, NODE, TYPE, INDEX, WEIGHT, TILE_COLUMN, ROW_COLUMN, CHILD)                                   \
  INLINED void NAME##_finish(                                                                                          \
      const martlet_walk_trees *trees, size_t tree, const NODE *leaf, TYPE *values, bool *is_scored) {                 \
    if (trees->leaves == MARTLET_WALK_ONE_TARGET) {                                                                    \
      *values += leaf->value;                                                                                          \
    } else if (trees->leaves == MARTLET_WALK_TREE_TARGET) {                                                            \
      const int32_t target = trees->tree_targets[tree];                                                                \
      values[target] += leaf->value;                                                                                   \
      is_scored[target] = true;                                                                                        \
    } else {                                                                                                           \
      INDEX index;                                                                                                     \
      __builtin_memcpy(&index, &leaf->value, sizeof index);                                                            \
      const WEIGHT *weights = trees->weights;                                                                          \
      for (uint32_t k = trees->first_weights[index]; k < trees->first_weights[index + 1]; k++) {                       \
        values[weights[k].target] += weights[k].value;                                                                 \
        is_scored[weights[k].target] = true;                                                                           \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  /* The leaves of eight rows in one tree. */                                                                          \
  INLINED void NAME##_descend(                                                                                         \
      const martlet_walk_trees *trees, size_t tree, const TYPE *tile, uint32_t column_mask, uint32_t child_shift,      \
      bool is_plain, const NODE *p[LANES]) {                                                                           \
    const NODE *root = (const NODE *)trees->nodes + trees->roots[tree];                                                \
    EIGHT(AT_ROOT)                                                                                                     \
    for (uint32_t level = trees->levels[tree]; level > 0; level--) {                                                   \
      TILE_STEP(TYPE, TILE_COLUMN, CHILD);                                                                             \
    }                                                                                                                  \
    for (;;) {                                                                                                         \
      uint32_t words = 0;                                                                                              \
      EIGHT(COLLECT)                                                                                                   \
      if (!(words & MARTLET_WALK_INNER)) break;                                                                        \
      TILE_STEP(TYPE, TILE_COLUMN, CHILD);                                                                             \
      TILE_STEP(TYPE, TILE_COLUMN, CHILD);                                                                             \
    }                                                                                                                  \
    (void)column_mask;                                                                                                 \
    (void)child_shift;                                                                                                 \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void NAME##_tile(                                                                                            \
      const martlet_walk_trees *trees, size_t first, size_t end, const TYPE *tile, size_t lanes, bool is_plain,        \
      TYPE *values, bool *is_scored) {                                                                                 \
    const uint32_t column_mask = trees->column_mask, child_shift = trees->child_shift;                                 \
    const NODE *p[LANES];                                                                                              \
    if (trees->leaves == MARTLET_WALK_ONE_TARGET) {                                                                    \
      TYPE sums[LANES] = {0};                                                                                          \
      for (size_t i = 0; i < lanes; i++) sums[i] = values[i];                                                          \
      for (size_t tree = first; tree < end; tree++) {                                                                  \
        NAME##_descend(trees, tree, tile, column_mask, child_shift, is_plain, p);                                      \
        EIGHT(ADD_VALUE)                                                                                               \
      }                                                                                                                \
      for (size_t i = 0; i < lanes; i++) values[i] = sums[i];                                                          \
      return;                                                                                                          \
    }                                                                                                                  \
    for (size_t tree = first; tree < end; tree++) {                                                                    \
      NAME##_descend(trees, tree, tile, column_mask, child_shift, is_plain, p);                                        \
      for (size_t i = 0; i < lanes; i++)                                                                               \
        NAME##_finish(trees, tree, p[i], values + i * trees->targets, is_scored + i * trees->targets);                 \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void NAME##_all(                                                                                             \
      const martlet_walk_trees *trees, const TYPE *tiles, size_t count, bool is_plain, TYPE *values,                   \
      bool *is_scored) {                                                                                               \
    const size_t columns = trees->column_count + trees->set_count;                                                     \
    const size_t tiles_count = (count + LANES - 1) / LANES;                                                            \
    size_t first = 0;                                                                                                  \
    for (size_t group = 0; group < trees->group_count; group++) {                                                      \
      /* The next group comes into the cache meanwhile, a part with each tile. */                                      \
      const char *next = NULL, *end = NULL;                                                                            \
      size_t part = 0;                                                                                                 \
      if (group + 1 < trees->group_count && tiles_count >= FETCHING_TILES) {                                           \
        const uint32_t behind = group + 2 < trees->group_count ? trees->roots[trees->groups[group + 1]]                \
                                                               : (uint32_t)trees->node_count;                          \
        next = (const char *)((const NODE *)trees->nodes + trees->roots[trees->groups[group]]);                        \
        end = (const char *)((const NODE *)trees->nodes + behind);                                                     \
        part = ((size_t)(end - next) / tiles_count + LINE - 1) / LINE * LINE;                                          \
      }                                                                                                                \
      for (size_t row = 0; row < count; row += LANES) {                                                                \
        for (const char *stop = end - next > (ptrdiff_t)part ? next + part : end; next < stop; next += LINE)           \
          __builtin_prefetch(next, 0, 2);                                                                              \
        NAME##_tile(                                                                                                   \
            trees, first, trees->groups[group], tiles + row * columns, count - row < LANES ? count - row : LANES,      \
            is_plain, values + row * trees->targets, is_scored + row * trees->targets);                                \
      }                                                                                                                \
      first = trees->groups[group];                                                                                    \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  void martlet_walk_##NAME##_rows(                                                                                     \
      const martlet_walk_trees *trees, const TYPE *tiles, size_t count, bool has_missing, TYPE *values,                \
      bool *is_scored) {                                                                                               \
    if (trees->is_plain && !has_missing)                                                                               \
      NAME##_all(trees, tiles, count, true, values, is_scored);                                                        \
    else                                                                                                               \
      NAME##_all(trees, tiles, count, false, values, is_scored);                                                       \
  }                                                                                                                    \
                                                                                                                       \
  INLINED void NAME##_one(                                                                                             \
      const martlet_walk_trees *trees, const TYPE *row, bool is_plain, TYPE *values, bool *is_scored) {                \
    const uint32_t column_mask = trees->column_mask, child_shift = trees->child_shift;                                 \
    const NODE *nodes = trees->nodes;                                                                                  \
    const size_t count = trees->group_count > 0 ? trees->groups[trees->group_count - 1] : 0;                           \
    for (size_t first = 0; first < count; first += TREES_AT_ONCE) {                                                    \
      const size_t many = count - first < TREES_AT_ONCE ? count - first : TREES_AT_ONCE;                               \
      uint32_t place[TREES_AT_ONCE], leaf[TREES_AT_ONCE];                                                              \
      uint16_t tree[TREES_AT_ONCE];                                                                                    \
      for (size_t i = 0; i < many; i++) {                                                                              \
        place[i] = trees->roots[first + i];                                                                            \
        tree[i] = (uint16_t)i;                                                                                         \
      }                                                                                                                \
      /* A level of all trees; those that have arrived in a leaf leave the list. */                                    \
      for (size_t live = many, kept = 0; live > 0; live = kept, kept = 0) {                                            \
        for (size_t i = 0; i < live; i++) {                                                                            \
          const NODE *p = nodes + place[i];                                                                            \
          const uint16_t own = tree[i];                                                                                \
          leaf[own] = place[i];                                                                                        \
          const uint32_t inner = p->word >> 4 & 1;                                                                     \
          STEP(p, row, TYPE, ROW_COLUMN, CHILD, is_plain);                                                             \
          __builtin_prefetch(p, 0, 3);                                                                                 \
          place[kept] = (uint32_t)(p - nodes);                                                                         \
          tree[kept] = own;                                                                                            \
          kept += inner;                                                                                               \
        }                                                                                                              \
      }                                                                                                                \
      for (size_t i = 0; i < many; i++)                                                                                \
        NAME##_finish(trees, first + i, nodes + leaf[i], values, is_scored);                                           \
    }                                                                                                                  \
    (void)column_mask;                                                                                                 \
    (void)child_shift;                                                                                                 \
  }                                                                                                                    \
                                                                                                                       \
  void martlet_walk_##NAME##_row(                                                                                      \
      const martlet_walk_trees *trees, const TYPE *row, bool has_missing, TYPE *values, bool *is_scored) {             \
    if (trees->is_plain && !has_missing)                                                                               \
      NAME##_one(trees, row, true, values, is_scored);                                                                 \
    else                                                                                                               \
      NAME##_one(trees, row, false, values, is_scored);                                                                \
  }

DEFINE_WALK(
    narrow, martlet_walk_narrow, float, uint32_t, martlet_walk_weight_float, NARROW_TILE, NARROW_ROW, NARROW_CHILD)
DEFINE_WALK(wide, martlet_walk_wide, float, uint32_t, martlet_walk_weight_float, WIDE_TILE, WIDE_ROW, WIDE_CHILD)
DEFINE_WALK(
    double, martlet_walk_double, double, uint64_t, martlet_walk_weight_double, DOUBLE_TILE, DOUBLE_ROW, WIDE_CHILD)

#define DEFINE_TILES(TYPE)                                                                                             \
  bool martlet_walk_tiles_##TYPE(                                                                                      \
      const martlet_walk_trees *trees, const TYPE *rows, size_t stride, size_t count, TYPE *tiles) {                   \
    const size_t columns = trees->column_count + trees->set_count;                                                     \
    bool has_missing = false;                                                                                          \
    for (size_t row = 0; row < count; row += LANES) {                                                                  \
      const TYPE *lane[LANES];                                                                                         \
      TYPE *tile = tiles + row * columns;                                                                              \
      for (size_t i = 0; i < LANES; i++) lane[i] = rows + (row + i < count ? row + i : row) * stride;                  \
      for (size_t c = 0; c < trees->column_count; c++) {                                                               \
        const size_t column = trees->columns[c];                                                                       \
        for (size_t i = 0; i < LANES; i++) {                                                                           \
          const TYPE x = lane[i][column];                                                                              \
          tile[c * LANES + i] = x;                                                                                     \
          has_missing |= x != x;                                                                                       \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    return has_missing;                                                                                                \
  }

DEFINE_TILES(float)
DEFINE_TILES(double)
