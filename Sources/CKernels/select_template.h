// The trees of `select.c` for one width of vectors, which the file that includes this defines.
//
// Each level of a complete tree is a function of its own: helpers that call themselves would not be inlined. Two
// vectors of rows, `step` bytes of codes apart, go together where `parts` is 2, so that they share the loads of a node.
// `first` is the number of the first leaf of the sub-tree. After inlining both are constants.

INLINED TARGET void NAME(level_1)(
    const uint8_t *codes, size_t step, const uint32_t *thresholds, const uint32_t *columns, const unsigned parts,
    const unsigned first, VECTOR *values) {
  (void)first;
  const VECTOR threshold = SPREAD(thresholds);
  const uint8_t *from = codes + columns[0];
  for (unsigned i = 0; i < parts; i++) {
    const MASK test = TEST(from + i * step, threshold);
    values[i] = PAIR(test, first);
  }
}

#define DEFINE_LEVEL(LEVEL, CHILD, LEAVES)                                                                             \
  INLINED TARGET void NAME(LEVEL)(                                                                                     \
      const uint8_t *codes, size_t step, const uint32_t *thresholds, const uint32_t *columns, const unsigned parts,    \
      const unsigned first, VECTOR *values) {                                                                          \
    const size_t nodes = (LEAVES)-1;                                                                                   \
    VECTOR low[2], high[2];                                                                                            \
    NAME(CHILD)(codes, step, thresholds, columns, parts, first, low);                                                  \
    NAME(CHILD)(codes, step, thresholds + nodes, columns + nodes, parts, first + (LEAVES), high);                      \
    const VECTOR threshold = SPREAD(thresholds + 2 * nodes);                                                           \
    const uint8_t *from = codes + columns[2 * nodes];                                                                  \
    for (unsigned i = 0; i < parts; i++) {                                                                             \
      const MASK test = TEST(from + i * step, threshold);                                                              \
      values[i] = PICK(test, low[i], high[i], LEAVES);                                                                 \
    }                                                                                                                  \
  }

DEFINE_LEVEL(level_2, level_1, 2)
DEFINE_LEVEL(level_3, level_2, 4)
DEFINE_LEVEL(level_4, level_3, 8)
DEFINE_LEVEL(level_5, level_4, 16)
DEFINE_LEVEL(level_6, level_5, 32)

#undef DEFINE_LEVEL

// Depths 7 and 8: sub-trees of depth 6 one after the other, then the nodes above them.
INLINED TARGET void NAME(deep)(
    const uint8_t *codes, size_t step, const uint32_t *thresholds, const uint32_t *columns, const unsigned parts,
    const unsigned trees, VECTOR *values) {
  VECTOR part[4][2];
  for (unsigned i = 0; i < trees; i++) {
    NAME(level_6)(codes, step, thresholds, columns, parts, 0, part[i]);
    for (unsigned j = 0; j < parts; j++) part[i][j] = SHIFTED(part[i][j], 64 * i);
    thresholds += 63;
    columns += 63;
  }
  for (unsigned leaves = 64; trees * 64 > leaves; leaves *= 2) {
    for (unsigned i = 0; i < trees * 64 / leaves; i += 2) {
      const VECTOR threshold = SPREAD(thresholds);
      for (unsigned j = 0; j < parts; j++) {
        const MASK test = TEST(codes + columns[0] + j * step, threshold);
        part[i / 2][j] = PICK(test, part[i][j], part[i + 1][j], leaves);
      }
      thresholds += 1;
      columns += 1;
    }
  }
  for (unsigned j = 0; j < parts; j++) values[j] = part[0][j];
}

// Any shape: operands of a node are leaves or nodes before it.
INLINED TARGET void NAME(nodes)(
    const uint8_t *codes, size_t step, const uint32_t *thresholds, const uint32_t *columns, const unsigned parts,
    const uint16_t *operands, const uint32_t count, uint8_t *results, VECTOR *values) {
  uint8_t *to = results + NODES;
  for (unsigned i = 0; i < parts; i++) values[i] = LOAD(results);
  for (uint32_t node = 0; node < count; node++, operands += 2, to += BLOCK) {
    const VECTOR threshold = SPREAD(thresholds + node);
    const uint8_t *from = codes + columns[node], *low = results + operands[0], *high = results + operands[1];
    for (unsigned i = 0; i < parts; i++) {
      const MASK test = TEST(from + i * step, threshold);
      values[i] = CHOOSE(test, LOAD(low + i * PART_RESULTS), LOAD(high + i * PART_RESULTS));
      STORE(to + i * PART_RESULTS, values[i]);
    }
  }
}

// All rows, two vectors together and the last one alone; `leaf` takes the numbers of their leaves. The compiler must
// think that the pointers change: it would move the loads of all nodes out of the loop, to where there are no registers
// for them.
#define FOR_EACH_ROWS(CALL, ...)                                                                                       \
  {                                                                                                                    \
    VECTOR value[2];                                                                                                   \
    size_t row = 0;                                                                                                    \
    for (; row + 2 * WIDTH <= rows; row += 2 * WIDTH) {                                                                \
      __asm__("" : "+r"(thresholds), "+r"(columns));                                                                   \
      CALL(codes + row / BLOCK * block_bytes + row % BLOCK, step, thresholds, columns, 2, __VA_ARGS__, value);         \
      STORE(leaf + row, value[0]);                                                                                     \
      STORE(leaf + row + WIDTH, value[1]);                                                                             \
    }                                                                                                                  \
    for (; row < rows; row += WIDTH) {                                                                                 \
      __asm__("" : "+r"(thresholds), "+r"(columns));                                                                   \
      CALL(codes + row / BLOCK * block_bytes + row % BLOCK, step, thresholds, columns, 1, __VA_ARGS__, value);         \
      STORE(leaf + row, value[0]);                                                                                     \
    }                                                                                                                  \
    break;                                                                                                             \
  }

INLINED TARGET void NAME(find_leaves_at)(
    const martlet_select_plan *plan, const martlet_select_tree *tree, const uint32_t depth, const uint8_t *codes,
    size_t rows, uint8_t *results, uint8_t *leaf) {
  const size_t block_bytes = BLOCK * plan->encoder.column_count, step = WIDTH < BLOCK ? WIDTH : block_bytes;
  const uint32_t *thresholds = plan->thresholds + tree->first_node, *columns = plan->columns + tree->first_node;
  switch (depth) {
  case 1: FOR_EACH_ROWS(NAME(level_1), 0)
  case 2: FOR_EACH_ROWS(NAME(level_2), 0)
  case 3: FOR_EACH_ROWS(NAME(level_3), 0)
  case 4: FOR_EACH_ROWS(NAME(level_4), 0)
  case 5: FOR_EACH_ROWS(NAME(level_5), 0)
  case 6: FOR_EACH_ROWS(NAME(level_6), 0)
  case 7: FOR_EACH_ROWS(NAME(deep), 2)
  case 8: FOR_EACH_ROWS(NAME(deep), 4)
  default: FOR_EACH_ROWS(NAME(nodes), plan->operands + tree->first_operand, tree->nodes, results)
  }
}

static TARGET void NAME(find_leaves)(
    const martlet_select_plan *plan, const martlet_select_tree *tree, const uint8_t *codes, size_t rows,
    uint8_t *results, uint8_t *leaf) {
  NAME(find_leaves_at)(plan, tree, tree->depth, codes, rows, results, leaf);
}

// The usual tree, of depth 6 and with one output, has a way of its own.
#define DEFINE_TREES(TREES, TYPE, ADD)                                                                                 \
  static TARGET void NAME(TREES)(                                                                                      \
      const martlet_select_plan *plan, const uint8_t *codes, size_t rows, uint8_t *results, TYPE *sums) {              \
    uint8_t leaf[ROWS_TOGETHER] __attribute__((aligned(BLOCK)));                                                       \
    for (size_t index = 0; index < plan->tree_count; index++) {                                                        \
      const martlet_select_tree *tree = plan->trees + index;                                                           \
      martlet_leaves leaves = tree->leaves;                                                                            \
      if (tree->depth == 6 && leaves.bits == 6 && leaves.outputs == 1) {                                               \
        NAME(find_leaves_at)(plan, tree, 6, codes, rows, results, leaf);                                               \
        leaves.bits = 6;                                                                                               \
        leaves.outputs = 1;                                                                                            \
        NAME(ADD)(&leaves, plan->values, plan->outputs, leaf, rows, sums, rows);                                       \
        continue;                                                                                                      \
      }                                                                                                                \
      NAME(find_leaves)(plan, tree, codes, rows, results, leaf);                                                       \
      NAME(ADD)(&leaves, plan->values, plan->outputs, leaf, rows, sums, rows);                                         \
    }                                                                                                                  \
  }

DEFINE_TREES(trees_float, float, leaves_float)
DEFINE_TREES(trees_double, double, leaves_double)

#undef DEFINE_TREES
#undef FOR_EACH_ROWS
#undef NAME
#undef TARGET
#undef WIDTH
#undef VECTOR
#undef MASK
#undef LOAD
#undef STORE
#undef FILL
#undef SPREAD
#undef TEST
#undef PAIR
#undef PICK
#undef CHOOSE
#undef SHIFTED
