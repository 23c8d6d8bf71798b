// Trees for one row at a time: all nodes of a tree are decided at once.
//
// A row's codes lie in registers. One permute brings each node its column's code and one comparison decides 64 nodes.
// Then each node points to the child that it chose, and a permute of the pointers by themselves doubles how far each
// of them reaches: three of them go from the root of any tree of up to nine levels to its last node on the way. There
// is no branch to mispredict and no chain of loads; trees overlap as far as the processor looks ahead. Trees of at most
// 32 nodes, as boosting leaf by leaf makes them, are decided two at a time. Larger trees are chunks of 64 nodes that
// lead to each other. Processors without permutes of 64 bytes take complete trees and those of at most 32 nodes as
// rows_avx2.c says, and walk through the others.

#include "rows.h"

// Rows that go through a tree of chunks before the next tree, so that its nodes are in the cache.
#define ROWS_TOGETHER 64
// Pairs of a row and a tree that are on their way together.
#define PAIRS 64

static size_t row_bytes(const martlet_row_plan *plan) {
  const size_t codes = plan->encoder.column_count * (plan->is_wide ? 2 : 1);
  return (codes + BLOCK - 1) / BLOCK * BLOCK + BLOCK;
}

static size_t rows_together(const martlet_row_plan *plan, size_t rows) {
  const size_t most = plan->is_complete ? 8 : ROWS_TOGETHER;
  return rows < most ? rows : most;
}

size_t martlet_score_rows_bytes(const martlet_row_plan *plan, size_t rows) {
  // Eight rows always, some of which are not there.
  const size_t codes = rows_together(plan, rows) < 8 ? 8 : rows_together(plan, rows);
  return codes * row_bytes(plan) + 8 * sizeof(double) * plan->target_count;
}

// The columns of a chunk; `room` takes how many bytes of each kind there are.
INLINED const uint8_t *chunk_at(const martlet_row_plan *plan, uint32_t link, uint32_t *room) {
  const uint8_t *chunk = plan->nodes + 4 * (size_t)(link >> 1);
  *room = 64;
  if ((link & 1) == 0) return chunk;
  __builtin_memcpy(room, chunk, sizeof *room);
  return chunk + 4;
}

// Without permutes: node by node on codes.
INLINED uint32_t leaf_by_walk(
    const martlet_row_plan *plan, const martlet_row_tree *tree, const uint8_t *row, const bool is_wide) {
  if (plan->is_complete) {
    const uint8_t *nodes = plan->nodes + tree->first_node;
    uint32_t node = 1;
    for (int level = 0; level < 6; level++) node = 2 * node + (row[nodes[node]] > nodes[64 + node]);
    return node - 64;
  }
  if (plan->is_paired) {
    const uint8_t *nodes = plan->nodes + (tree->first_node & ~255u);
    const uint32_t root = tree->first_node & 32;
    for (uint32_t node = root;;) {
      const uint32_t is_high = row[nodes[node]] > nodes[64 + node];
      const uint32_t next = nodes[128 + 64 * is_high + node];
      if (next == node) return 2 * (node - root) + is_high;
      node = next;
    }
  }
  uint32_t link = tree->first_node;
  for (;;) {
    uint32_t n;
    const uint8_t *columns = chunk_at(plan, link, &n), *thresholds = columns + n;
    const uint8_t *low = thresholds + (is_wide ? 2 * (size_t)n : n), *high = low + n;
    uint32_t node = 0, is_high;
    for (;;) {
      if (is_wide) {
        uint16_t code, threshold;
        __builtin_memcpy(&code, row + 2 * (size_t)columns[node], sizeof code);
        __builtin_memcpy(&threshold, thresholds + 2 * (size_t)node, sizeof threshold);
        is_high = code > threshold;
      } else {
        is_high = row[columns[node]] > thresholds[node];
      }
      const uint32_t next = is_high ? high[node] : low[node];
      if (next == node) break;
      node = next;
    }
    int32_t exit;
    __builtin_memcpy(&exit, high + n + 4 * (2 * (size_t)node + is_high), sizeof exit);
    if (exit >= 0) return (uint32_t)exit;
    link = (uint32_t)~exit;
  }
}

#define DEFINE_WALK(NAME, TYPE, IS_WIDE)                                                                               \
  static void NAME(const martlet_row_plan *plan, const uint8_t *row, size_t pitch, size_t rows, TYPE *scores) {        \
    for (size_t index = 0; index < plan->tree_count; index++) {                                                        \
      const martlet_row_tree *tree = plan->trees + index;                                                              \
      TYPE *to = scores;                                                                                               \
      for (size_t i = 0; i < rows; i++, to += plan->target_count) {                                                    \
        const TYPE *value =                                                                                            \
            (const TYPE *)plan->values + tree->first_value + leaf_by_walk(plan, tree, row + i * pitch, IS_WIDE);       \
        for (uint32_t output = 0; output < tree->outputs; output++, value += tree->leaves)                             \
          to[plan->outputs[tree->first_output + output]] += *value;                                                    \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_WALK(walk_float, float, false)
DEFINE_WALK(walk_double, double, false)
DEFINE_WALK(walk_wide_float, float, true)
DEFINE_WALK(walk_wide_double, double, true)

#if defined(__x86_64__)
// The children of node n of a complete tree, 2n and 2n + 1; nodes of the last level point to themselves.
static uint8_t low_children[64] __attribute__((aligned(64))), high_children[64] __attribute__((aligned(64)));
// The same, but nodes of the last level point to leaves.
static uint8_t low_ways[64] __attribute__((aligned(64))), high_ways[64] __attribute__((aligned(64)));

__attribute__((constructor)) static void fill_children(void) {
  for (int node = 0; node < 64; node++) {
    // Node 0 is the root once more.
    const int of = node == 0 ? 1 : node;
    low_children[node] = (uint8_t)(of < 32 ? 2 * of : of);
    high_children[node] = (uint8_t)(of < 32 ? 2 * of + 1 : of);
    low_ways[node] = (uint8_t)(2 * of & 63);
    high_ways[node] = (uint8_t)((2 * of & 63) + 1);
  }
}

// Codes of one byte by column from 1, 2 or 4 registers: up to 64, 128 or 256 columns.
INLINED TARGET_AVX512_BYTES __m512i codes_of(const __m512i *codes, const unsigned registers, __m512i columns) {
  if (registers == 1) return _mm512_permutexvar_epi8(columns, codes[0]);
  const __m512i low = _mm512_permutex2var_epi8(codes[0], columns, codes[1]);
  if (registers == 2) return low;
  return _mm512_mask_blend_epi8(
      _mm512_movepi8_mask(columns), low, _mm512_permutex2var_epi8(codes[2], columns, codes[3]));
}

// Decides 32 nodes by codes of two bytes from 1, 2 or 4 registers: up to 32, 64 or 128 columns.
INLINED TARGET_AVX512_BYTES uint64_t decide_wide(
    const __m512i *codes, const unsigned registers, const uint8_t *columns, const uint8_t *thresholds) {
  const __m512i column = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)columns));
  __m512i code;
  if (registers == 1) {
    code = _mm512_permutexvar_epi16(column, codes[0]);
  } else {
    code = _mm512_permutex2var_epi16(codes[0], column, codes[1]);
    if (registers == 4)
      code = _mm512_mask_blend_epi16(
          _mm512_test_epi16_mask(column, _mm512_set1_epi16(64)), code,
          _mm512_permutex2var_epi16(codes[2], column, codes[3]));
  }
  return _cvtmask32_u32(_mm512_cmpgt_epu16_mask(code, _mm512_loadu_si512(thresholds)));
}

// The number of the leaf of a complete tree that a row falls into.
INLINED TARGET_AVX512_BYTES uint32_t leaf_of(
    const uint8_t *nodes, const __m512i *codes, const unsigned registers, __m512i low, __m512i high) {
  const __m512i code = codes_of(codes, registers, _mm512_loadu_si512(nodes));
  const __mmask64 test = _mm512_cmpgt_epu8_mask(code, _mm512_loadu_si512(nodes + 64));
  __m512i next = _mm512_mask_mov_epi8(low, test, high);
  next = _mm512_permutexvar_epi8(next, next);
  next = _mm512_permutexvar_epi8(next, next);
  next = _mm512_permutexvar_epi8(next, next);
  const uint32_t node = (uint8_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(next));
  return 2 * node + (uint32_t)(_cvtmask64_u64(test) >> node & 1) - 64;
}

// Trees whose decisions are kept before the row goes down them, so that bytes are not read back right after they are
// written; and how many it goes down side by side.
#define ROW_GROUP 32
#define ROW_LANES 4

// One row through regular trees. One permute makes each node point two levels down; the rest of the way is three loads
// in each of several trees, because processors have one or two units for permutes and two or three for loads.
#define DEFINE_REGULAR_ROW(NAME, TYPE)                                                                                 \
  INLINED TARGET_AVX512_BYTES TYPE NAME(                                                                               \
      const martlet_row_plan *plan, const __m512i *codes, const unsigned registers, TYPE sum) {                        \
    const __m512i low = _mm512_load_si512(low_ways), high = _mm512_load_si512(high_ways);                              \
    const uint8_t *nodes = plan->nodes;                                                                                \
    const TYPE *values = plan->values;                                                                                 \
    uint8_t ways[ROW_GROUP][64] __attribute__((aligned(64)));                                                          \
    size_t count;                                                                                                      \
    for (size_t left = plan->tree_count; left > 0; left -= count) {                                                    \
      count = left < ROW_GROUP ? left : ROW_GROUP;                                                                     \
      for (size_t tree = 0; tree < count; tree++, nodes += 128) {                                                      \
        const __m512i code = codes_of(codes, registers, _mm512_loadu_si512(nodes));                                    \
        const __mmask64 test = _mm512_cmpgt_epu8_mask(code, _mm512_loadu_si512(nodes + 64));                           \
        const __m512i way = _mm512_mask_mov_epi8(low, test, high);                                                     \
        _mm512_store_si512(ways[tree], _mm512_permutexvar_epi8(way, way));                                             \
      }                                                                                                                \
      size_t first = 0;                                                                                                \
      for (; first + ROW_LANES <= count; first += ROW_LANES) {                                                         \
        size_t node[ROW_LANES];                                                                                        \
        for (size_t i = 0; i < ROW_LANES; i++) node[i] = ways[first + i][0];                                           \
        for (size_t i = 0; i < ROW_LANES; i++) node[i] = ways[first + i][node[i]];                                     \
        for (size_t i = 0; i < ROW_LANES; i++) node[i] = ways[first + i][node[i]];                                     \
        for (size_t i = 0; i < ROW_LANES; i++, values += 64) sum += values[node[i]];                                   \
      }                                                                                                                \
      for (; first < count; first++, values += 64) sum += values[ways[first][ways[first][ways[first][0]]]];            \
    }                                                                                                                  \
    return sum;                                                                                                        \
  }

DEFINE_REGULAR_ROW(regular_row_float, float)
DEFINE_REGULAR_ROW(regular_row_double, double)

#define DEFINE_ROW(NAME, TYPE)                                                                                         \
  INLINED TARGET_AVX512_BYTES void NAME##_of(                                                                          \
      const martlet_row_plan *plan, const uint8_t *row, TYPE *scores, const unsigned registers) {                      \
    __m512i codes[4];                                                                                                  \
    for (unsigned i = 0; i < registers; i++) codes[i] = _mm512_loadu_si512(row + 64 * i);                              \
    const __m512i low = _mm512_load_si512(low_children), high = _mm512_load_si512(high_children);                      \
    const TYPE *values = plan->values;                                                                                 \
    const martlet_row_tree *tree = plan->trees, *end = tree + plan->tree_count;                                        \
    if (plan->is_regular) {                                                                                            \
      scores[plan->target] = regular_##NAME(plan, codes, registers, scores[plan->target]);                             \
      return;                                                                                                          \
    }                                                                                                                  \
    for (; tree < end; tree++) {                                                                                       \
      const uint32_t leaf = leaf_of(plan->nodes + tree->first_node, codes, registers, low, high);                      \
      const TYPE *value = values + tree->first_value + leaf;                                                           \
      const uint32_t *outputs = plan->outputs + tree->first_output;                                                    \
      for (uint32_t output = 0; output < tree->outputs; output++, value += tree->leaves)                               \
        scores[outputs[output]] += *value;                                                                             \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  static TARGET_AVX512_BYTES void NAME(const martlet_row_plan *plan, const uint8_t *row, TYPE *scores) {               \
    const size_t columns = plan->encoder.column_count;                                                                 \
    if (columns <= 64) return NAME##_of(plan, row, scores, 1);                                                         \
    if (columns <= 128) return NAME##_of(plan, row, scores, 2);                                                        \
    NAME##_of(plan, row, scores, 4);                                                                                   \
  }

DEFINE_ROW(row_float, float)
DEFINE_ROW(row_double, double)

// Makes each node point to the one at the end of its way.
INLINED TARGET_AVX512_BYTES __m512i ends_of(__m512i next, uint32_t jumps) {
  for (int jump = 0; jump < 3; jump++) next = _mm512_permutexvar_epi8(next, next);
  if (jumps > 3) next = _mm512_permutexvar_epi8(next, next);
  if (jumps > 4) next = _mm512_permutexvar_epi8(next, next);
  if (jumps > 5) next = _mm512_permutexvar_epi8(next, next);
  return next;
}

// The leaves of the two trees of a pair that a row falls into: in the table of the first, and 64 more in the second's.
INLINED TARGET_AVX512_BYTES void leaves_of_pair(
    const uint8_t *nodes, const __m512i *codes, const unsigned registers, uint32_t jumps, uint32_t leaves[2]) {
  const __m512i code = codes_of(codes, registers, _mm512_loadu_si512(nodes));
  const __mmask64 mask = _mm512_cmpgt_epu8_mask(code, _mm512_loadu_si512(nodes + 64));
  const __m512i next = ends_of(
      _mm512_mask_mov_epi8(_mm512_loadu_si512(nodes + 128), mask, _mm512_loadu_si512(nodes + 192)), jumps);
  const uint64_t test = _cvtmask64_u64(mask);
  const uint32_t first = (uint8_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(next));
  const uint32_t second = (uint8_t)_mm_cvtsi128_si32(_mm512_extracti32x4_epi32(next, 2));
  leaves[0] = 2 * first + (uint32_t)(test >> first & 1);
  leaves[1] = 2 * second + (uint32_t)(test >> second & 1);
}

#define DEFINE_PAIRS(NAME, TYPE)                                                                                       \
  INLINED TARGET_AVX512_BYTES void NAME##_of(                                                                          \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, TYPE *scores,                     \
      const unsigned registers) {                                                                                      \
    const uint32_t jumps = plan->jumps;                                                                                \
    const uint8_t *nodes = plan->nodes;                                                                                \
    const size_t targets = plan->target_count;                                                                         \
    uint32_t leaves[2];                                                                                                \
    __m512i codes[4];                                                                                                  \
    if (count == 1 && plan->is_regular) {                                                                              \
      const TYPE *values = plan->values;                                                                               \
      TYPE sum = scores[plan->target];                                                                                 \
      for (unsigned i = 0; i < registers; i++) codes[i] = _mm512_loadu_si512(rows + 64 * i);                           \
      for (size_t left = plan->tree_count; left > 0; nodes += 256, values += 128) {                                    \
        leaves_of_pair(nodes, codes, registers, jumps, leaves);                                                        \
        sum += values[leaves[0]];                                                                                      \
        if (left == 1) break;                                                                                          \
        sum += values[leaves[1]];                                                                                      \
        left -= 2;                                                                                                     \
      }                                                                                                                \
      scores[plan->target] = sum;                                                                                      \
      return;                                                                                                          \
    }                                                                                                                  \
    for (size_t first = 0; first < plan->tree_count; first += 2, nodes += 256) {                                       \
      const martlet_row_tree *pair = plan->trees + first;                                                              \
      const size_t trees = plan->tree_count - first < 2 ? 1 : 2;                                                       \
      TYPE *to = scores;                                                                                               \
      for (size_t row = 0; row < count; row++, to += targets) {                                                        \
        for (unsigned i = 0; i < registers; i++) codes[i] = _mm512_loadu_si512(rows + row * pitch + 64 * i);           \
        leaves_of_pair(nodes, codes, registers, jumps, leaves);                                                        \
        if (plan->is_regular) {                                                                                        \
          const TYPE *values = (const TYPE *)plan->values + 64 * first;                                                \
          to[plan->target] += values[leaves[0]];                                                                       \
          if (trees == 2) to[plan->target] += values[leaves[1]];                                                       \
          continue;                                                                                                    \
        }                                                                                                              \
        leaves[1] -= 64;                                                                                               \
        for (size_t tree = 0; tree < trees; tree++) {                                                                  \
          const TYPE *value = (const TYPE *)plan->values + pair[tree].first_value + leaves[tree];                      \
          const uint32_t *outputs = plan->outputs + pair[tree].first_output;                                           \
          for (uint32_t output = 0; output < pair[tree].outputs; output++, value += 64) to[outputs[output]] += *value; \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, TYPE *scores) {                   \
    const size_t columns = plan->encoder.column_count;                                                                 \
    if (columns <= 64) return NAME##_of(plan, rows, pitch, count, scores, 1);                                          \
    if (columns <= 128) return NAME##_of(plan, rows, pitch, count, scores, 2);                                         \
    NAME##_of(plan, rows, pitch, count, scores, 4);                                                                    \
  }

DEFINE_PAIRS(pairs_float, float)
DEFINE_PAIRS(pairs_double, double)

// Where a row leaves a chunk: the number of a leaf, or the complement of a link.
INLINED TARGET_AVX512_BYTES int32_t exit_of(
    const martlet_row_plan *plan, uint32_t link, const uint8_t *row, const unsigned registers, const bool is_wide) {
  __m512i codes[4];
  for (unsigned i = 0; i < registers; i++) codes[i] = _mm512_loadu_si512(row + 64 * i);
  uint32_t n;
  const uint8_t *nodes = chunk_at(plan, link, &n);
  const uint8_t *low_places = nodes + (is_wide ? 3 : 2) * (size_t)n;
  uint64_t test;
  if (is_wide) {
    test = decide_wide(codes, registers, nodes, nodes + n);
    test |= decide_wide(codes, registers, nodes + 32, nodes + n + 64) << 32;
  } else {
    const __m512i code = codes_of(codes, registers, _mm512_loadu_si512(nodes));
    test = _cvtmask64_u64(_mm512_cmpgt_epu8_mask(code, _mm512_loadu_si512(nodes + n)));
  }
  __m512i next = _mm512_mask_mov_epi8(
      _mm512_loadu_si512(low_places), _cvtu64_mask64(test), _mm512_loadu_si512(low_places + n));
  next = ends_of(next, plan->jumps);
  const uint32_t node = (uint8_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(next)) & 63;
  const uint32_t way = 2 * node + (uint32_t)(test >> node & 1);
  int32_t exit;
  __builtin_memcpy(&exit, low_places + 2 * (size_t)n + 4 * (size_t)way, sizeof exit);
  return exit;
}

// Trees of one chunk: the first exit is a leaf.
#define DEFINE_ONE_CHUNK(NAME, TYPE)                                                                                   \
  INLINED TARGET_AVX512_BYTES void NAME##_of(                                                                          \
      const martlet_row_plan *plan, const uint8_t *codes, size_t pitch, size_t rows, TYPE *scores,                     \
      const unsigned registers, const bool is_wide) {                                                                  \
    const TYPE *values = plan->values;                                                                                 \
    const martlet_row_tree *tree = plan->trees, *end = tree + plan->tree_count;                                        \
    if (rows == 1 && plan->has_one_target) {                                                                           \
      TYPE sum = scores[plan->target];                                                                                 \
      for (; tree < end; tree++)                                                                                       \
        sum += values[tree->first_value + (uint32_t)exit_of(plan, tree->first_node, codes, registers, is_wide)];       \
      scores[plan->target] = sum;                                                                                      \
      return;                                                                                                          \
    }                                                                                                                  \
    for (; tree < end; tree++) {                                                                                       \
      const uint32_t *outputs = plan->outputs + tree->first_output;                                                    \
      TYPE *to = scores;                                                                                               \
      for (size_t row = 0; row < rows; row++, to += plan->target_count) {                                              \
        const int32_t leaf = exit_of(plan, tree->first_node, codes + row * pitch, registers, is_wide);                 \
        const TYPE *value = values + tree->first_value + leaf;                                                         \
        for (uint32_t output = 0; output < tree->outputs; output++, value += tree->leaves)                             \
          to[outputs[output]] += *value;                                                                               \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_row_plan *plan, const uint8_t *codes, size_t pitch, size_t rows, TYPE *scores) {                   \
    const size_t columns = plan->encoder.column_count;                                                                 \
    if (plan->is_wide) {                                                                                               \
      if (columns <= 32) return NAME##_of(plan, codes, pitch, rows, scores, 1, true);                                  \
      if (columns <= 64) return NAME##_of(plan, codes, pitch, rows, scores, 2, true);                                  \
      return NAME##_of(plan, codes, pitch, rows, scores, 4, true);                                                     \
    }                                                                                                                  \
    if (columns <= 64) return NAME##_of(plan, codes, pitch, rows, scores, 1, false);                                   \
    if (columns <= 128) return NAME##_of(plan, codes, pitch, rows, scores, 2, false);                                  \
    NAME##_of(plan, codes, pitch, rows, scores, 4, false);                                                             \
  }

DEFINE_ONE_CHUNK(one_chunk_float, float)
DEFINE_ONE_CHUNK(one_chunk_double, double)

// Finds the leaf of each of `count` pairs of a tree and a row, whose codes lie at `rows` + 64 `offsets`. In each round
// the pairs go through one chunk, and those that have come to a leaf drop out: no branch could guess how deep a leaf
// lies, and chunks of different pairs come from memory at the same time.
INLINED TARGET_AVX512_BYTES void find_leaves(
    const martlet_row_plan *plan, const uint8_t *rows, const uint16_t *offsets, uint32_t *links, size_t count,
    int32_t *leaves, const unsigned registers, const bool is_wide) {
  uint8_t pairs[PAIRS];
  for (size_t i = 0; i < count; i++) pairs[i] = (uint8_t)i;
  while (count > 0) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
      const uint8_t pair = pairs[i];
      const int32_t exit = exit_of(plan, links[i], rows + 64 * (size_t)offsets[pair], registers, is_wide);
      leaves[pair] = exit;
      pairs[left] = pair;
      links[left] = (uint32_t)~exit;
      left += exit < 0;
    }
    count = left;
  }
}

static TARGET_AVX512_BYTES void find_leaves_by_columns(
    const martlet_row_plan *plan, const uint8_t *rows, const uint16_t *offsets, uint32_t *links, size_t count,
    int32_t *leaves) {
  const size_t columns = plan->encoder.column_count;
  if (plan->is_wide) {
    if (columns <= 32) return find_leaves(plan, rows, offsets, links, count, leaves, 1, true);
    if (columns <= 64) return find_leaves(plan, rows, offsets, links, count, leaves, 2, true);
    return find_leaves(plan, rows, offsets, links, count, leaves, 4, true);
  }
  if (columns <= 64) return find_leaves(plan, rows, offsets, links, count, leaves, 1, false);
  if (columns <= 128) return find_leaves(plan, rows, offsets, links, count, leaves, 2, false);
  find_leaves(plan, rows, offsets, links, count, leaves, 4, false);
}

// Trees of chunks: several for few rows, one after the other for many.
#define DEFINE_CHUNKS(NAME, TYPE)                                                                                      \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_row_plan *plan, const uint8_t *codes, size_t pitch, size_t rows, TYPE *scores) {                   \
    const size_t together = PAIRS / rows, targets = plan->target_count;                                                \
    uint16_t offsets[PAIRS];                                                                                           \
    for (size_t pair = 0; pair < together * rows; pair++) offsets[pair] = (uint16_t)(pair % rows * pitch / 64);        \
    for (size_t first = 0; first < plan->tree_count; first += together) {                                              \
      const martlet_row_tree *trees = plan->trees + first;                                                             \
      const size_t count = plan->tree_count - first < together ? plan->tree_count - first : together;                  \
      uint32_t links[PAIRS];                                                                                           \
      int32_t leaves[PAIRS];                                                                                           \
      for (size_t tree = 0; tree < count; tree++)                                                                      \
        for (size_t row = 0; row < rows; row++) links[tree * rows + row] = trees[tree].first_node;                     \
      find_leaves_by_columns(plan, codes, offsets, links, count * rows, leaves);                                       \
      const int32_t *leaf = leaves;                                                                                    \
      for (size_t tree = 0; tree < count; tree++) {                                                                    \
        const uint32_t *outputs = plan->outputs + trees[tree].first_output;                                            \
        const TYPE *values = (const TYPE *)plan->values + trees[tree].first_value;                                     \
        if (plan->has_one_target) {                                                                                    \
          for (size_t row = 0; row < rows; row++) scores[row * targets + plan->target] += values[*leaf++];             \
          continue;                                                                                                    \
        }                                                                                                              \
        for (size_t row = 0; row < rows; row++, leaf++)                                                                \
          for (uint32_t output = 0; output < trees[tree].outputs; output++)                                            \
            scores[row * targets + outputs[output]] += values[*leaf + output * (size_t)trees[tree].leaves];            \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_CHUNKS(chunks_float, float)
DEFINE_CHUNKS(chunks_double, double)

// Eight rows: the decisions of a tree's nodes are a word for each row, and all eight go down together, a bit a level.

INLINED TARGET_AVX512 __m256 values_float(const float *table, __m512i leaf) {
  // A word's upper half reads some value, which is dropped.
  __m512 t[4];
  for (int i = 0; i < 4; i++) t[i] = _mm512_loadu_ps(table + 16 * i);
  const __m512 value = LOOKUP_64(leaf, 0, BIT(leaf, 5));
  return _mm256_castsi256_ps(_mm512_cvtepi64_epi32(_mm512_castps_si512(value)));
}

INLINED TARGET_AVX512 __m512d values_double(const double *table, __m512i leaf) {
  __m512d t[8];
  for (int i = 0; i < 8; i++) t[i] = _mm512_loadu_pd(table + 8 * i);
  return _mm512_mask_blend_pd(
      BIT_DOUBLE(leaf, 5), LOOKUP_32_DOUBLE(leaf, 0, BIT_DOUBLE(leaf, 4)),
      LOOKUP_32_DOUBLE(leaf, 4, BIT_DOUBLE(leaf, 4)));
}

// Trees whose decisions are kept before the rows go down, so that words are not read back right after they are written.
#define GROUP 32

#define DEFINE_EIGHT(NAME, TYPE, VECTOR, VALUES, LOAD, ADD, STORE)                                                     \
  INLINED TARGET_AVX512_BYTES void NAME##_of(                                                                          \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, TYPE *sums, const unsigned registers) {         \
    uint64_t decisions[GROUP][8] __attribute__((aligned(64)));                                                         \
    const __m512i one = _mm512_set1_epi64(1);                                                                          \
    VECTOR sum = LOAD(sums + 8 * (size_t)plan->target);                                                                \
    for (size_t first = 0; first < plan->tree_count; first += GROUP) {                                                 \
      const martlet_row_tree *trees = plan->trees + first;                                                             \
      const size_t count = plan->tree_count - first < GROUP ? plan->tree_count - first : GROUP;                        \
      const unsigned together = 8 / registers;                                                                         \
      for (unsigned part = 0; part < 8; part += together) {                                                            \
        __m512i codes[8];                                                                                              \
        for (unsigned row = 0; row < together; row++)                                                                  \
          for (unsigned i = 0; i < registers; i++)                                                                     \
            codes[row * registers + i] = _mm512_loadu_si512(rows + (part + row) * pitch + 64 * i);                     \
        for (size_t tree = 0; tree < count; tree++) {                                                                  \
          const uint8_t *nodes = plan->nodes + trees[tree].first_node;                                                 \
          const __m512i columns = _mm512_loadu_si512(nodes), thresholds = _mm512_loadu_si512(nodes + 64);              \
          for (unsigned row = 0; row < together; row++) {                                                              \
            const __m512i code = codes_of(codes + row * registers, registers, columns);                                \
            decisions[tree][part + row] = _cvtmask64_u64(_mm512_cmpgt_epu8_mask(code, thresholds));                    \
          }                                                                                                            \
        }                                                                                                              \
      }                                                                                                                \
      for (size_t tree = 0; tree < count; tree++) {                                                                    \
        const __m512i word = _mm512_load_si512(decisions[tree]);                                                       \
        /* The root is node 1. */                                                                                      \
        __m512i node = _mm512_or_si512(_mm512_set1_epi64(2), _mm512_and_si512(_mm512_srli_epi64(word, 1), one));       \
        for (int level = 1; level < 6; level++) {                                                                      \
          const __m512i bit = _mm512_srlv_epi64(word, node);                                                           \
          node = _mm512_ternarylogic_epi64(_mm512_add_epi64(node, node), bit, one, 0xf8);                              \
        }                                                                                                              \
        /* Leaf 0 is 64, which a permute does not see. */                                                              \
        const TYPE *table = (const TYPE *)plan->values + trees[tree].first_value;                                      \
        if (plan->has_one_target) {                                                                                    \
          sum = ADD(sum, VALUES(table, node));                                                                         \
          continue;                                                                                                    \
        }                                                                                                              \
        const uint32_t *outputs = plan->outputs + trees[tree].first_output;                                            \
        for (uint32_t output = 0; output < trees[tree].outputs; output++, table += 64) {                               \
          TYPE *to = sums + 8 * (size_t)outputs[output];                                                               \
          STORE(to, ADD(LOAD(to), VALUES(table, node)));                                                               \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    if (plan->has_one_target) STORE(sums + 8 * (size_t)plan->target, sum);                                             \
  }                                                                                                                    \
                                                                                                                       \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, TYPE *sums) {                                   \
    if (plan->encoder.column_count <= 64) return NAME##_of(plan, rows, pitch, sums, 1);                                \
    if (plan->encoder.column_count <= 128) return NAME##_of(plan, rows, pitch, sums, 2);                               \
    NAME##_of(plan, rows, pitch, sums, 4);                                                                             \
  }

DEFINE_EIGHT(eight_float, float, __m256, values_float, _mm256_loadu_ps, _mm256_add_ps, _mm256_storeu_ps)
DEFINE_EIGHT(eight_double, double, __m512d, values_double, _mm512_loadu_pd, _mm512_add_pd, _mm512_storeu_pd)
#else
// Never called: the level is that of the platform's base.
#define row_float(...) ((void)0)
#define row_double(...) ((void)0)
#define pairs_float(...) ((void)0)
#define pairs_double(...) ((void)0)
#define one_chunk_float(...) ((void)0)
#define one_chunk_double(...) ((void)0)
#define chunks_float(...) ((void)0)
#define chunks_double(...) ((void)0)
#define eight_float(...) ((void)0)
#define eight_double(...) ((void)0)
#define martlet_rows_avx2_float(...) ((void)0)
#define martlet_rows_avx2_double(...) ((void)0)
#endif

// Whether trees go by shuffles of sixteen bytes: the processor has none of 64, and there are not too many columns.
static bool has_halves(const martlet_row_plan *plan) {
  return plan->encoder.level >= MARTLET_CPU_AVX2 && plan->encoder.level < MARTLET_CPU_AVX512_BYTES
         && (plan->is_complete || plan->is_paired) && plan->encoder.column_count <= AVX2_ROW_COLUMNS;
}

// From how many rows on eight at once are faster than one after the other.
#define FEWEST_OF_EIGHT 4

#define DEFINE_SCORE(                                                                                                  \
    NAME, TYPE, ROW, EIGHT, PAIRED, ONE_CHUNK, CHUNKS, HALVES, WALK, WALK_WIDE, LOAD_SUMS, STORE_SUMS)                 \
  static void NAME(                                                                                                    \
      const martlet_row_plan *plan, const TYPE *rows, size_t stride, size_t count, TYPE *scores, uint8_t *codes) {     \
    const size_t pitch = row_bytes(plan), together = rows_together(plan, count), targets = plan->target_count;         \
    for (size_t first = 0; first < count; first += together) {                                                         \
      const size_t n = count - first < together ? count - first : together;                                            \
      TYPE *to = scores + first * targets;                                                                             \
      if (plan->is_wide)                                                                                               \
        martlet_encode_wide_rows(                                                                                      \
            &plan->encoder, rows + first * stride, stride, n, (uint16_t *)(void *)codes, pitch);                       \
      else                                                                                                             \
        martlet_encode_rows(&plan->encoder, rows + first * stride, stride, n, codes, pitch);                           \
      if (has_halves(plan)) {                                                                                          \
        HALVES(plan, codes, pitch, n, to);                                                                             \
      } else if (plan->encoder.level < MARTLET_CPU_AVX512_BYTES) {                                                     \
        if (plan->is_wide) WALK_WIDE(plan, codes, pitch, n, to);                                                       \
        else WALK(plan, codes, pitch, n, to);                                                                          \
      } else if (plan->is_paired) {                                                                                    \
        PAIRED(plan, codes, pitch, n, to);                                                                             \
      } else if (plan->has_one_chunk) {                                                                                \
        ONE_CHUNK(plan, codes, pitch, n, to);                                                                          \
      } else if (!plan->is_complete) {                                                                                 \
        CHUNKS(plan, codes, pitch, n, to);                                                                             \
      } else if (n >= FEWEST_OF_EIGHT) {                                                                               \
        TYPE *sums = (TYPE *)(codes + 8 * pitch);                                                                      \
        (void)sums;                                                                                                    \
        LOAD_SUMS(to, n, targets, sums, 8);                                                                            \
        EIGHT(plan, codes, pitch, sums);                                                                               \
        STORE_SUMS(to, n, targets, sums, 8);                                                                           \
      } else {                                                                                                         \
        for (size_t row = 0; row < n; row++) ROW(plan, codes + row * pitch, to + row * targets);                       \
      }                                                                                                                \
    }                                                                                                                  \
  }

DEFINE_SCORE(
    score_float, float, row_float, eight_float, pairs_float, one_chunk_float, chunks_float, martlet_rows_avx2_float,
    walk_float, walk_wide_float, load_sums_float, store_sums_float)
DEFINE_SCORE(
    score_double, double, row_double, eight_double, pairs_double, one_chunk_double, chunks_double,
    martlet_rows_avx2_double, walk_double, walk_wide_double, load_sums_double, store_sums_double)

void martlet_score_rows(
    const martlet_row_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary) {
  if (plan->encoder.is_double) return score_double(plan, rows, stride, count, scores, temporary);
  score_float(plan, rows, stride, count, scores, temporary);
}
