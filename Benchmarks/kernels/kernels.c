// Times the kernels of tree ensembles, encoding included, on rows that no cache and no branch predictor knows: 500
// trees over 28 features with 255 thresholds each, in single precision; complete ones of depth 6, and ones of 31 leaves
// grown leaf by leaf.
//
// Usage: kernels [seconds a figure]. Every kernel's sums are compared with a walk through the trees first.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CKernels.h"

enum { TREES = 500, FEATURES = 28, CUTS = 255, MOST_NODES = 63, POOL = 1 << 18 };

// Children are nodes, or complements of leaves. Nodes come before their children, the lower child first.
typedef struct {
  uint8_t column, threshold;
  int low, high;
} node;

typedef struct {
  node nodes[MOST_NODES];
  int count, depth;
  float leaves[64];
} tree;

static float cuts[FEATURES][CUTS];
static tree trees[TREES];

static void *aligned(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes + 256) != 0) abort();
  memset(memory, 0, bytes + 256);
  return memory;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static uint64_t state = 1;

static uint32_t number(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33);
}

static float fraction(void) { return (float)(number() & 0xffffff) / 16777216.0f; }

static int compare(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static float walk(const float *row) {
  float sum = 0;
  for (int index = 0; index < TREES; index++) {
    int place = 0;
    while (place >= 0) {
      const node *at = trees[index].nodes + place;
      place = row[at->column] >= cuts[at->column][at->threshold] ? at->high : at->low;
    }
    sum += trees[index].leaves[~place];
  }
  return sum;
}

// Appends a sub-tree of `leaves` leaves and returns its place.
static int grow(tree *to, int leaves, int *next_leaf, int depth, int is_complete) {
  if (depth > to->depth) to->depth = depth;
  if (leaves == 1) return ~(*next_leaf)++;
  const int place = to->count++;
  to->nodes[place].column = (uint8_t)(number() % FEATURES);
  to->nodes[place].threshold = (uint8_t)(number() % CUTS);
  // All sizes are equally likely when it is always a random leaf that is split.
  const int low = is_complete ? leaves / 2 : 1 + (int)(number() % (uint32_t)(leaves - 1));
  const int child = grow(to, low, next_leaf, depth + 1, is_complete);
  to->nodes[place].low = child;
  to->nodes[place].high = grow(to, leaves - low, next_leaf, depth + 1, is_complete);
  return place;
}

static martlet_encoder encoder;
static martlet_select_plan select_plan;
static martlet_plane_plan plane_plan;
static martlet_row_plan row_plan;

// The leaves of trees for planes as numbers, and byte by byte for processors with byte permutes.
static martlet_plane_tree *plane_trees[2];
static float *plane_values[2];

static uint32_t *thresholds, *columns;
static uint16_t *tests;
static size_t placed;

static void place_node(const node *at) {
  thresholds[placed] = at->threshold * 0x01010101u;
  columns[placed] = 64u * at->column;
  tests[placed++] = (uint16_t)(at->column * CUTS + at->threshold);
}

static void place_children_first(const tree *of, int place) {
  if (place < 0) return;
  place_children_first(of, of->nodes[place].low);
  place_children_first(of, of->nodes[place].high);
  place_node(of->nodes + place);
}

static void make_encoder(void) {
  martlet_coded_feature *features = aligned(FEATURES * sizeof *features);
  martlet_code_column *codes = aligned(FEATURES * sizeof *codes);
  float *levels = aligned(FEATURES * 272 * sizeof *levels);
  for (uint32_t f = 0; f < FEATURES; f++) {
    for (int i = 0; i < CUTS; i++) cuts[f][i] = fraction();
    qsort(cuts[f], CUTS, sizeof(float), compare);
    for (int i = 0; i < 16; i++) levels[272 * f + (uint32_t)i] = i < 15 ? cuts[f][16 * i + 15] : NAN;
    for (int i = 0; i < 256; i++) levels[272 * f + 16 + (uint32_t)i] = i < CUTS ? cuts[f][i] : NAN;
    features[f] = (martlet_coded_feature){f, CUTS, 2, 272 * f, f, 1, true};
    codes[f] = (martlet_code_column){0, UINT32_MAX, 0};
  }
  uint8_t *short_rows = aligned(128);
  for (int f = 0; f < FEATURES; f++) short_rows[f] = (uint8_t)f;
  encoder = (martlet_encoder){
      features, codes, levels, NULL, FEATURES, FEATURES, false, martlet_cpu_level(), short_rows, NULL};
}

// A complete tree of depth 6 level by level.
static void place_levels(const tree *of, int place, int level_order, uint8_t *nodes) {
  if (place < 0) return;
  nodes[level_order] = of->nodes[place].column;
  nodes[64 + level_order] = of->nodes[place].threshold;
  place_levels(of, of->nodes[place].low, 2 * level_order, nodes);
  place_levels(of, of->nodes[place].high, 2 * level_order + 1, nodes);
}

// A tree of a pair, and its leaves by the nodes that lead to them; the place of a node is the same in both.
static void place_half(const tree *of, int first, uint8_t *pair, float *leaves) {
  for (int i = 0; i < of->count; i++) {
    const node *at = of->nodes + i;
    uint8_t *to = pair + first + i;
    to[0] = at->column;
    to[64] = at->threshold;
    to[128] = (uint8_t)(first + (at->low < 0 ? i : at->low));
    to[192] = (uint8_t)(first + (at->high < 0 ? i : at->high));
    if (at->low < 0) leaves[2 * i] = of->leaves[~at->low];
    if (at->high < 0) leaves[2 * i + 1] = of->leaves[~at->high];
  }
}

// How many levels of nodes are below a node, itself included.
static int height(const tree *of, int place) {
  if (place < 0) return 0;
  const int low = height(of, of->nodes[place].low), high = height(of, of->nodes[place].high);
  return 1 + (low > high ? low : high);
}

static void make_plans(int is_complete) {
  const uint32_t leaves_of_tree = is_complete ? 64 : 31;
  const uint32_t bits = is_complete ? 6 : 5;
  thresholds = aligned(TREES * MOST_NODES * 4);
  columns = aligned(TREES * MOST_NODES * 4);
  tests = aligned(TREES * MOST_NODES * 2);
  placed = 0;
  martlet_select_tree *select_trees = aligned(TREES * sizeof *select_trees);
  for (int i = 0; i < 2; i++) plane_trees[i] = aligned(TREES * sizeof **plane_trees);
  martlet_row_tree *row_trees = aligned(TREES * sizeof *row_trees);
  uint8_t *nodes = aligned(TREES * 1024);
  uint32_t *outputs = aligned(TREES * 4);
  uint16_t *operands = aligned(TREES * MOST_NODES * 4), *places = aligned(TREES * MOST_NODES * 4);
  uint16_t *plane_tests = aligned(TREES * MOST_NODES * 2);
  float *values = aligned(TREES * 64 * sizeof *values), *row_values = aligned(TREES * 64 * sizeof *values);
  uint8_t *value_bytes = aligned(TREES * 256);
  size_t depth = 0;
  for (uint32_t index = 0; index < TREES; index++) {
    tree *of = trees + index;
    int next_leaf = 0;
    memset(of, 0, sizeof *of);
    grow(of, (int)leaves_of_tree, &next_leaf, 0, is_complete);
    if ((size_t)of->depth > depth) depth = (size_t)of->depth;
    for (uint32_t leaf = 0; leaf < 64; leaf++) of->leaves[leaf] = fraction() - 0.5f;
    memcpy(values + (index << bits), of->leaves, sizeof(float) << bits);
    const uint32_t first = (uint32_t)placed, count = (uint32_t)of->count;
    const martlet_leaves leaves = {index << bits, index, 1, bits};
    if (is_complete) {
      place_children_first(of, 0);
      memcpy(plane_tests + first, tests + first, count * 2);
      select_trees[index] = (martlet_select_tree){leaves, 6, count, first, 0};
      plane_trees[0][index] = (martlet_plane_tree){leaves, 6, count, first, 0, 6};
      uint8_t *to = nodes + 128 * index;
      place_levels(of, 0, 1, to);
      to[0] = to[1];
      to[64] = to[65];
      memcpy(row_values + 64 * index, of->leaves, sizeof of->leaves);
      row_trees[index] = (martlet_row_tree){128 * index, 64 * index, 64, index, 1};
    } else {
      // The lowest first, so that a node seldom waits for the one right before it.
      int index_of[MOST_NODES], next = 0;
      for (int level = 1; level <= of->depth; level++)
        for (int i = 0; i < of->count; i++)
          if (height(of, i) == level) {
            const node *at = of->nodes + i;
            uint16_t *to = operands + 2 * (first + (uint32_t)next);
            to[0] = (uint16_t)(64 * (at->low < 0 ? ~at->low : 256 + index_of[at->low]));
            to[1] = (uint16_t)(64 * (at->high < 0 ? ~at->high : 256 + index_of[at->high]));
            index_of[i] = next++;
            place_node(at);
          }
      for (uint32_t i = 0; i < count; i++) {
        const node *at = of->nodes + i;
        plane_tests[first + i] = tests[first + (uint32_t)index_of[i]];
        places[2 * (first + i)] = (uint16_t)(at->low < 0 ? 256 + ~at->low : at->low);
        places[2 * (first + i) + 1] = (uint16_t)(at->high < 0 ? 256 + ~at->high : at->high);
      }
      place_half(of, 32 * (index % 2), nodes + 256 * (index / 2), row_values + 64 * index);
      row_trees[index] = (martlet_row_tree){256 * (index / 2) + 32 * (index % 2), 64 * index, 64, index, 1};
      select_trees[index] = (martlet_select_tree){leaves, 0, count, first, 2 * first};
      plane_trees[0][index] = (martlet_plane_tree){leaves, 0, count, first, 2 * first, 5};
    }
    plane_trees[1][index] = plane_trees[0][index];
    plane_trees[1][index].leaves.first_value = 64 * index;
    plane_trees[1][index].leaves.bits = 6;
    for (int leaf = 0; leaf < 64; leaf++)
      for (int byte = 0; byte < 4; byte++)
        value_bytes[256 * index + (uint32_t)(64 * byte + leaf)] = ((const uint8_t *)(of->leaves + leaf))[byte];
  }
  martlet_tested_column *tested = aligned(FEATURES * sizeof *tested);
  uint32_t *tested_thresholds = aligned(FEATURES * CUTS * 4);
  for (uint32_t f = 0; f < FEATURES; f++) {
    tested[f] = (martlet_tested_column){64 * f, CUTS * f, CUTS};
    for (uint32_t i = 0; i < CUTS; i++) tested_thresholds[CUTS * f + i] = i * 0x01010101u;
  }
  plane_values[0] = values;
  plane_values[1] = (float *)(void *)value_bytes;
  uint32_t jumps = 3;
  while ((1u << jumps) + 1 < depth) jumps++;
  select_plan = (martlet_select_plan){
      encoder, select_trees, TREES, thresholds, columns, operands, 31, values, outputs, 1};
  plane_plan = (martlet_plane_plan){
      encoder, tested, FEATURES, tested_thresholds, FEATURES * CUTS, plane_trees[0], TREES, plane_tests, places,
      values, outputs, 1, true};
  row_plan = (martlet_row_plan){
      .encoder = encoder, .trees = row_trees, .tree_count = TREES, .nodes = nodes, .values = row_values,
      .outputs = outputs, .target_count = 1, .jumps = jumps, .longest_way = (uint32_t)depth - 1,
      .is_complete = is_complete, .is_paired = !is_complete, .has_one_target = true, .is_regular = true};
}

static void score(int kind, const float *rows, size_t count, float *scores, void *temporary) {
  if (kind == 0) martlet_score_rows(&row_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 1) martlet_select(&select_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 2) martlet_score_planes(&plane_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 3) martlet_encode_blocks(&encoder, rows, FEATURES, count, temporary);
}

static const size_t sizes[] = {1, 2, 4, 8, 16, 64, 128, 256, 512, 4096};
enum { SIZES = sizeof sizes / sizeof *sizes };

// Microseconds a row, the best of five rounds.
static double measure(int kind, size_t size, const float *pool, float *scores, void *temporary, double seconds) {
  static size_t at;
  double best = INFINITY;
  for (int round = 0; round < 5; round++) {
    size_t rows = 0;
    const double start = now();
    double end;
    do {
      for (int i = 0; i < 8; i++) {
        if (at + size > POOL) at = 0;
        score(kind, pool + at * FEATURES, size, scores, temporary);
        at += size;
        rows += size;
      }
      end = now();
    } while (end - start < seconds / 5);
    if ((end - start) / (double)rows < best) best = (end - start) / (double)rows;
  }
  return 1e6 * best;
}

int main(int argc, char **argv) {
  static const char *kinds[] = {"rows", "select", "planes", "codes alone"};
  static const char *levels[] = {"portable", "avx2", "avx512", "avx512 bytes"};
  const double seconds = argc > 1 ? atof(argv[1]) : 0.1;
  make_encoder();
  float *pool = aligned(sizeof(float) * POOL * FEATURES), *expected = aligned(sizeof(float) * 4096);
  for (size_t i = 0; i < (size_t)POOL * FEATURES; i++) pool[i] = fraction();
  float *scores = aligned(sizeof(float) * 4096);
  void *temporary = aligned(32 << 20);
  for (int is_complete = 1; is_complete >= 0; is_complete--) {
    make_plans(is_complete);
    for (size_t i = 0; i < 4096; i++) expected[i] = walk(pool + FEATURES * i);
    printf("us a row: %d trees %s, %d features of %d thresholds\n", TREES,
           is_complete ? "of depth 6" : "of 31 leaves", FEATURES, CUTS);
    printf("%-14s%-13s", "level", "kind");
    for (size_t s = 0; s < SIZES; s++) printf("%8zu", sizes[s]);
    printf("\n");
    for (int level = martlet_cpu_highest(); level >= 0; level--) {
      encoder.level = level;
      row_plan.encoder = select_plan.encoder = plane_plan.encoder = encoder;
      plane_plan.trees = plane_trees[level == MARTLET_CPU_AVX512_BYTES];
      plane_plan.values = plane_values[level == MARTLET_CPU_AVX512_BYTES];
      for (int kind = 0; kind < (is_complete ? 4 : 3); kind++) {
        printf("%-14s%-13s", levels[level], kinds[kind]);
        for (size_t s = 0; s < SIZES; s++) {
          memset(scores, 0, sizeof(float) * sizes[s]);
          score(kind, pool, sizes[s], scores, temporary);
          if (kind < 3 && memcmp(scores, expected, sizeof(float) * sizes[s]) != 0) {
            printf("\n%s: wrong sums of %zu rows\n", kinds[kind], sizes[s]);
            return 1;
          }
          printf("%8.4f", measure(kind, sizes[s], pool, scores, temporary, seconds));
          fflush(stdout);
        }
        printf("\n");
      }
    }
  }
  return 0;
}
