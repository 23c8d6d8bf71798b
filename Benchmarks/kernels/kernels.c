// Times the kernels of tree ensembles, encoding included, on rows that no cache and no branch predictor knows:
// TREES complete trees of depth 6 over FEATURES features with 255 thresholds each, in single precision.
//
// Usage: kernels [seconds a figure]. Every kernel's sums are compared with a walk through the trees first.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CKernels.h"

enum { TREES = 500, FEATURES = 28, CUTS = 255, DEPTH = 6, NODES = 63, POOL = 1 << 18 };

static float cuts[FEATURES][CUTS];
static uint8_t column_of[TREES][64], threshold_of[TREES][64];
static float leaf_of[TREES][64];

static void *aligned(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes + 64) != 0) abort();
  memset(memory, 0, bytes + 64);
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
  for (int tree = 0; tree < TREES; tree++) {
    int node = 1;
    for (int level = 0; level < DEPTH; level++)
      node = 2 * node + (row[column_of[tree][node]] >= cuts[column_of[tree][node]][threshold_of[tree][node]]);
    sum += leaf_of[tree][node - 64];
  }
  return sum;
}

static martlet_encoder encoder;
static martlet_select_plan select_plan;
static martlet_plane_plan plane_plan;
static martlet_row_plan row_plan;

static uint32_t *thresholds, *columns, *tests;
static size_t placed;

// Children before parents.
static void place(int tree, int node) {
  if (node >= 64) return;
  place(tree, 2 * node);
  place(tree, 2 * node + 1);
  thresholds[placed] = threshold_of[tree][node] * 0x01010101u;
  columns[placed] = 64u * column_of[tree][node];
  tests[placed++] = (uint32_t)column_of[tree][node] * CUTS + threshold_of[tree][node];
}

static void make_plans(void) {
  martlet_coded_feature *features = aligned(FEATURES * sizeof *features);
  martlet_code_column *codes = aligned(FEATURES * sizeof *codes);
  float *levels = aligned(FEATURES * 272 * sizeof *levels);
  for (uint32_t f = 0; f < FEATURES; f++) {
    for (int i = 0; i < CUTS; i++) cuts[f][i] = fraction();
    qsort(cuts[f], CUTS, sizeof(float), compare);
    for (int i = 0; i < 16; i++) levels[272 * f + i] = i < 15 ? cuts[f][16 * i + 15] : NAN;
    for (int i = 0; i < 256; i++) levels[272 * f + 16 + i] = i < CUTS ? cuts[f][i] : NAN;
    features[f] = (martlet_coded_feature){f, CUTS, 2, 272 * f, f, 1, true};
    codes[f] = (martlet_code_column){0, UINT32_MAX, 0};
  }
  encoder = (martlet_encoder){features, codes, levels, NULL, FEATURES, FEATURES, false, martlet_cpu_level()};

  thresholds = aligned(TREES * NODES * 4), columns = aligned(TREES * NODES * 4), tests = aligned(TREES * NODES * 4);
  martlet_select_tree *select_trees = aligned(TREES * sizeof *select_trees);
  martlet_plane_tree *plane_trees = aligned(TREES * sizeof *plane_trees);
  martlet_row_tree *row_trees = aligned(TREES * sizeof *row_trees);
  uint8_t *nodes = aligned(TREES * 128);
  uint32_t *outputs = aligned(TREES * 4);
  for (uint32_t tree = 0; tree < TREES; tree++) {
    for (int node = 0; node < 64; node++) {
      column_of[tree][node] = (uint8_t)(number() % FEATURES);
      threshold_of[tree][node] = (uint8_t)(number() % CUTS);
      leaf_of[tree][node] = fraction() - 0.5f;
    }
    place((int)tree, 1);
    const martlet_leaves leaves = {64 * tree, tree, 1, 6};
    select_trees[tree] = (martlet_select_tree){leaves, DEPTH, NODES, NODES * tree, 0};
    plane_trees[tree] = (martlet_plane_tree){leaves, DEPTH, NODES, NODES * tree, 0, DEPTH};
    row_trees[tree] = (martlet_row_tree){128 * tree, 64 * tree, 64, tree, 1, true};
    memcpy(nodes + 128 * tree, column_of[tree], 64);
    memcpy(nodes + 128 * tree + 64, threshold_of[tree], 64);
    nodes[128 * tree] = column_of[tree][1];
    nodes[128 * tree + 64] = threshold_of[tree][1];
  }
  martlet_tested_column *tested = aligned(FEATURES * sizeof *tested);
  uint8_t *tested_thresholds = aligned(FEATURES * CUTS);
  for (uint32_t f = 0; f < FEATURES; f++) {
    tested[f] = (martlet_tested_column){64 * f, CUTS * f, CUTS};
    for (int i = 0; i < CUTS; i++) tested_thresholds[CUTS * f + (uint32_t)i] = (uint8_t)i;
  }
  select_plan = (martlet_select_plan){
      encoder, select_trees, TREES, thresholds, columns, NULL, leaf_of, outputs, 1};
  plane_plan = (martlet_plane_plan){
      encoder, tested, FEATURES, tested_thresholds, FEATURES * CUTS, plane_trees, TREES, tests, NULL,
      leaf_of, outputs, 1};
  row_plan = (martlet_row_plan){encoder, row_trees, TREES, nodes, leaf_of, outputs, 1, 3, true, false};
}

static void score(int kind, const float *rows, size_t count, float *scores, void *temporary) {
  if (kind == 0) martlet_score_rows(&row_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 1) martlet_select(&select_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 2) martlet_score_planes(&plane_plan, rows, FEATURES, count, scores, temporary);
  if (kind == 3) martlet_encode_blocks(&encoder, rows, FEATURES, count, temporary);
}

int main(int argc, char **argv) {
  static const char *kinds[] = {"rows", "select", "planes", "codes alone"};
  static const char *levels[] = {"portable", "avx2", "avx512", "avx512 bytes"};
  static const size_t sizes[] = {1, 2, 4, 8, 16, 64, 128, 256, 512, 4096};
  const double seconds = argc > 1 ? atof(argv[1]) : 0.1;
  make_plans();
  float *pool = aligned(sizeof(float) * POOL * FEATURES), *expected = aligned(sizeof(float) * 4096);
  for (size_t i = 0; i < (size_t)POOL * FEATURES; i++) pool[i] = fraction();
  for (size_t i = 0; i < 4096; i++) expected[i] = walk(pool + FEATURES * i);
  float *scores = aligned(sizeof(float) * 4096);
  void *temporary = aligned(8 << 20);
  printf("us a row: %d trees of depth %d, %d features of %d thresholds\n", TREES, DEPTH, FEATURES, CUTS);
  printf("%-14s%-13s", "level", "kind");
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) printf("%8zu", sizes[s]);
  printf("\n");
  for (int level = martlet_cpu_highest(); level >= 0; level--) {
    encoder.level = level;
    row_plan.encoder = select_plan.encoder = plane_plan.encoder = encoder;
    for (int kind = 0; kind < 4; kind++) {
      printf("%-14s%-13s", levels[level], kinds[kind]);
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t size = sizes[s];
        memset(scores, 0, sizeof(float) * size);
        score(kind, pool, size, scores, temporary);
        if (kind < 3 && memcmp(scores, expected, sizeof(float) * size) != 0) {
          printf("\n%s: wrong sums of %zu rows\n", kinds[kind], size);
          return 1;
        }
        double best = INFINITY;
        size_t at = 0;
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
        printf("%8.4f", 1e6 * best);
        fflush(stdout);
      }
      printf("\n");
    }
  }
  return 0;
}
