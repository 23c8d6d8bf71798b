// The trees of `planes.c` for one level of processor and BLOCKS blocks of rows, which the file that includes this
// defines: a vector holds one bit for each row. One block alone is there twice, because a choice of two words is one
// operation in a vector and three elsewhere.

#if BLOCKS == 1
typedef uint64_t NAME(plane) __attribute__((vector_size(16)));
typedef uint64_t NAME(test);
#define TEST_AT(TESTS, INDEX) ((PLANE){0} + (TESTS)[INDEX])
#else
typedef uint64_t NAME(plane) __attribute__((vector_size(8 * BLOCKS)));
typedef NAME(plane) NAME(test);
#define TEST_AT(TESTS, INDEX) (TESTS)[INDEX]
#endif
#define PLANE NAME(plane)

static TARGET void NAME(make_tests)(const martlet_plane_plan *plan, const uint8_t *codes, uint64_t *tests) {
  const size_t block_bytes = BLOCK * plan->encoder.column_count;
  for (size_t index = 0; index < plan->column_count; index++) {
    const martlet_tested_column column = plan->columns[index];
    const uint32_t *thresholds = plan->thresholds + column.first_test;
    uint64_t *to = tests + BLOCKS * (size_t)column.first_test;
    for (uint32_t test = 0; test < column.tests; test++, to += BLOCKS)
      for (size_t block = 0; block < BLOCKS; block++)
        to[block] = TEST(codes + column.column + block * block_bytes, thresholds[test]);
  }
}

INLINED TARGET void NAME(level_1)(const NAME(test) *tests, const uint16_t *test, PLANE *planes) {
  planes[0] = TEST_AT(tests, *test);
}

// The planes of a node: those of its children, one or the other, and its own test above them.
#define DEFINE_LEVEL(LEVEL, CHILD, DEPTH)                                                                              \
  INLINED TARGET void NAME(LEVEL)(const NAME(test) *tests, const uint16_t *test, PLANE *planes) {                      \
    const size_t nodes = (1 << ((DEPTH)-1)) - 1;                                                                       \
    PLANE low[8], high[8];                                                                                             \
    NAME(CHILD)(tests, test, low);                                                                                     \
    NAME(CHILD)(tests, test + nodes, high);                                                                            \
    const PLANE choice = TEST_AT(tests, test[2 * nodes]);                                                              \
    for (int i = 0; i < (DEPTH)-1; i++) planes[i] = (low[i] & ~choice) | (high[i] & choice);                           \
    planes[(DEPTH)-1] = choice;                                                                                        \
  }

DEFINE_LEVEL(level_2, level_1, 2)
DEFINE_LEVEL(level_3, level_2, 3)
DEFINE_LEVEL(level_4, level_3, 4)
DEFINE_LEVEL(level_5, level_4, 5)
DEFINE_LEVEL(level_6, level_5, 6)

#undef DEFINE_LEVEL

// Depths 7 and 8: sub-trees of depth 6 one after the other, then the nodes above them.
INLINED TARGET void NAME(deep)(const NAME(test) *tests, const uint16_t *test, unsigned parts, PLANE *planes) {
  PLANE part[4][8];
  for (unsigned i = 0; i < parts; i++, test += 63) NAME(level_6)(tests, test, part[i]);
  for (unsigned i = 0; i < parts; i += 2, test++) {
    const PLANE choice = TEST_AT(tests, *test);
    for (int j = 0; j < 6; j++) part[i / 2][j] = (part[i][j] & ~choice) | (part[i + 1][j] & choice);
    part[i / 2][6] = choice;
  }
  if (parts == 2) {
    for (int j = 0; j < 7; j++) planes[j] = part[0][j];
    return;
  }
  const PLANE choice = TEST_AT(tests, *test);
  for (int j = 0; j < 7; j++) planes[j] = (part[0][j] & ~choice) | (part[1][j] & choice);
  planes[7] = choice;
}

// Any shape, from the root down: which rows reach a node, and at last a leaf. A plane of leaf numbers is what reaches
// the leaves whose number has its bit: sums of pairs, of pairs of pairs and so on.
INLINED TARGET void NAME(nodes)(
    const martlet_plane_plan *plan, const martlet_plane_tree *tree, const NAME(test) *tests, PLANE *places,
    PLANE *planes) {
  const uint16_t *test = plan->tests + tree->first_node;
  const uint16_t *place = plan->places + tree->first_place;
  PLANE *leaves = places + LEAVES;
  const uint32_t count = 1u << tree->planes;
  for (uint32_t leaf = 0; leaf < count; leaf++) leaves[leaf] = (PLANE){0};
  places[0] = ~(PLANE){0};
  for (uint32_t node = 0; node < tree->nodes; node++, place += 2) {
    const PLANE reach = places[node], choice = TEST_AT(tests, test[node]);
    places[place[0]] = reach & ~choice;
    places[place[1]] = reach & choice;
  }
  for (uint32_t plane = 0, width = count; plane < tree->planes; plane++, width /= 2) {
    PLANE odd = {0};
    for (uint32_t i = 0; i < width; i += 2) {
      odd |= leaves[i + 1];
      leaves[i / 2] = leaves[i] | leaves[i + 1];
    }
    planes[plane] = odd;
  }
}

INLINED TARGET void NAME(find_planes)(
    const martlet_plane_plan *plan, const martlet_plane_tree *tree, const NAME(test) *tests, PLANE *places,
    PLANE *planes) {
  const uint16_t *test = plan->tests + tree->first_node;
  switch (tree->depth) {
  case 0: NAME(nodes)(plan, tree, tests, places, planes); break;
  case 1: NAME(level_1)(tests, test, planes); break;
  case 2: NAME(level_2)(tests, test, planes); break;
  case 3: NAME(level_3)(tests, test, planes); break;
  case 4: NAME(level_4)(tests, test, planes); break;
  case 5: NAME(level_5)(tests, test, planes); break;
  case 6: NAME(level_6)(tests, test, planes); break;
  default: NAME(deep)(tests, test, tree->depth == 7 ? 2 : 4, planes); break;
  }
}

#if BLOCKS > 1
// From planes to leaf numbers, one byte for each row.
INLINED TARGET void NAME(spread_blocks)(const PLANE *planes, unsigned count, uint8_t *leaf) {
  const uint64_t *bits = (const uint64_t *)planes;
  for (size_t block = 0; block < BLOCKS; block++, leaf += BLOCK) {
    if (count == 6) {
      SPREAD(bits + block, BLOCKS, 6, leaf);
    } else if (count == 5) {
      SPREAD(bits + block, BLOCKS, 5, leaf);
    } else {
      SPREAD(bits + block, BLOCKS, count, leaf);
    }
  }
}

#ifndef SPREAD_BLOCKS
#define SPREAD_BLOCKS NAME(spread_blocks)
#endif

#define DEFINE_SCORE(SCORE, TYPE, ADD)                                                                                 \
  static TARGET void NAME(SCORE)(                                                                                      \
      const martlet_plane_plan *plan, const uint8_t *codes, uint64_t *words, uint64_t *place_words, TYPE *sums) {      \
    NAME(make_tests)(plan, codes, words);                                                                              \
    const NAME(test) *tests = (const PLANE *)words;                                                                    \
    for (size_t index = 0; index < plan->tree_count; index++) {                                                        \
      const martlet_plane_tree *tree = plan->trees + index;                                                            \
      PLANE planes[8];                                                                                                 \
      NAME(find_planes)(plan, tree, tests, (PLANE *)place_words, planes);                                              \
      uint8_t leaf[BLOCK * BLOCKS] __attribute__((aligned(BLOCK)));                                                    \
      SPREAD_BLOCKS(planes, tree->planes, leaf);                                                                       \
      ADD(&tree->leaves, plan->values, plan->outputs, leaf, BLOCK * BLOCKS, sums, BLOCK * BLOCKS);                     \
    }                                                                                                                  \
  }

DEFINE_SCORE(score_float, float, LEAVES_FLOAT)
DEFINE_SCORE(score_double, double, LEAVES_DOUBLE)

#undef DEFINE_SCORE
#endif

#undef PLANE
#undef TEST_AT
#undef BLOCKS
#undef NAME
#undef TARGET
#undef LEAVES_FLOAT
#undef LEAVES_DOUBLE
#undef TEST
#undef SPREAD
#undef SPREAD_BLOCKS
