// The trees of `select.c` for one width of vectors, which the file that includes this defines.
//
// Each level of a complete tree is a function of its own: helpers that call themselves would not be inlined. `first` is
// the number of the sub-tree's first leaf, a constant after inlining.

INLINED TARGET VECTOR NAME(level_1)(
    const uint8_t *codes, const uint32_t *thresholds, const uint32_t *columns, const unsigned first) {
  (void)first;
  const MASK test = TEST(codes + columns[0], thresholds);
  return PAIR(test, first);
}

#define DEFINE_LEVEL(LEVEL, CHILD, LEAVES)                                                                             \
  INLINED TARGET VECTOR NAME(LEVEL)(                                                                                   \
      const uint8_t *codes, const uint32_t *thresholds, const uint32_t *columns, const unsigned first) {               \
    const size_t nodes = (LEAVES)-1;                                                                                   \
    const VECTOR low = NAME(CHILD)(codes, thresholds, columns, first);                                                 \
    const VECTOR high = NAME(CHILD)(codes, thresholds + nodes, columns + nodes, first + (LEAVES));                     \
    const MASK test = TEST(codes + columns[2 * nodes], thresholds + 2 * nodes);                                        \
    return PICK(test, low, high, LEAVES);                                                                              \
  }

DEFINE_LEVEL(level_2, level_1, 2)
DEFINE_LEVEL(level_3, level_2, 4)
DEFINE_LEVEL(level_4, level_3, 8)
DEFINE_LEVEL(level_5, level_4, 16)
DEFINE_LEVEL(level_6, level_5, 32)

#undef DEFINE_LEVEL

// Depths 7 and 8: sub-trees of depth 6 one after the other, then the nodes above them.
INLINED TARGET VECTOR NAME(deep)(
    const uint8_t *codes, const uint32_t *thresholds, const uint32_t *columns, const unsigned parts) {
  VECTOR part[4];
  for (unsigned i = 0; i < parts; i++) {
    const VECTOR value = NAME(level_6)(codes, thresholds, columns, 0);
    part[i] = SHIFTED(value, 64 * i);
    thresholds += 63;
    columns += 63;
  }
  for (unsigned i = 0; i < parts; i += 2) {
    const MASK test = TEST(codes + columns[0], thresholds);
    part[i / 2] = PICK(test, part[i], part[i + 1], 64);
    thresholds += 1;
    columns += 1;
  }
  if (parts == 2) return part[0];
  const MASK test = TEST(codes + columns[0], thresholds);
  return PICK(test, part[0], part[1], 128);
}

// Any shape: operands of a node are leaves or nodes before it.
INLINED TARGET VECTOR NAME(nodes)(
    const martlet_select_plan *plan, const martlet_select_tree *tree, const uint8_t *codes, uint8_t *results) {
  const uint32_t *thresholds = plan->thresholds + tree->first_node, *columns = plan->columns + tree->first_node;
  const uint16_t *operands = plan->operands + tree->first_operand;
  uint8_t *to = results + NODES;
  VECTOR value = LOAD(results);
  for (uint32_t node = 0; node < tree->nodes; node++, operands += 2, to += BLOCK) {
    const MASK test = TEST(codes + columns[node], thresholds + node);
    value = CHOOSE(test, LOAD(results + operands[0]), LOAD(results + operands[1]));
    STORE(to, value);
  }
  return value;
}

#define DEFINE_TREES(TREES, TYPE, ADD)                                                                                 \
  static TARGET void NAME(TREES)(                                                                                      \
      const martlet_select_plan *plan, const uint8_t *codes, size_t rows, uint8_t *results, TYPE *sums) {              \
    const size_t block_bytes = BLOCK * plan->encoder.column_count;                                                     \
    for (size_t index = 0; index < plan->tree_count; index++) {                                                        \
      const martlet_select_tree *tree = plan->trees + index;                                                           \
      const uint32_t *thresholds = plan->thresholds + tree->first_node, *columns = plan->columns + tree->first_node;   \
      const uint8_t *from = codes;                                                                                     \
      for (size_t row = 0; row < rows; row += BLOCK, from += block_bytes) {                                            \
        uint8_t leaf[BLOCK] __attribute__((aligned(BLOCK)));                                                           \
        for (size_t part = 0; part < BLOCK; part += WIDTH) {                                                           \
          VECTOR value;                                                                                                \
          switch (tree->depth) {                                                                                       \
          case 0: value = NAME(nodes)(plan, tree, from + part, results); break;                                        \
          case 1: value = NAME(level_1)(from + part, thresholds, columns, 0); break;                                   \
          case 2: value = NAME(level_2)(from + part, thresholds, columns, 0); break;                                   \
          case 3: value = NAME(level_3)(from + part, thresholds, columns, 0); break;                                   \
          case 4: value = NAME(level_4)(from + part, thresholds, columns, 0); break;                                   \
          case 5: value = NAME(level_5)(from + part, thresholds, columns, 0); break;                                   \
          case 6: value = NAME(level_6)(from + part, thresholds, columns, 0); break;                                   \
          default: value = NAME(deep)(from + part, thresholds, columns, tree->depth == 7 ? 2 : 4); break;              \
          }                                                                                                            \
          STORE(leaf + part, value);                                                                                   \
        }                                                                                                              \
        NAME(ADD)(&tree->leaves, plan->values, plan->outputs, leaf, sums + row, rows);                                 \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_TREES(trees_float, float, leaves_float)
DEFINE_TREES(trees_double, double, leaves_double)

#undef DEFINE_TREES
#undef NAME
#undef TARGET
#undef WIDTH
#undef VECTOR
#undef MASK
#undef LOAD
#undef STORE
#undef FILL
#undef TEST
#undef PAIR
#undef PICK
#undef CHOOSE
#undef SHIFTED
