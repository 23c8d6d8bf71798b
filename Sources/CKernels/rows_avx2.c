// Trees for few rows without permutes of 64 bytes: complete ones of six levels, and trees of at most 32 nodes.
//
// A shuffle looks bytes up among sixteen, so a row's codes lie in one, two or four registers. All nodes of a tree are
// decided before anything goes down, and the trees of a group go down side by side: the way of one is a chain, those of
// several overlap.

#include "rows.h"

#if defined(__x86_64__)

// Trees whose decisions are kept before the row goes down them, so that what was stored apart is not read back at once.
#define GROUP 32
// Trees of a pair that the row goes down side by side.
#define LANES 8

// The bytes of 16, 32 or 64 that `places` name. The first register holds sixteen of them twice, each other one what
// changes from the bytes before to its own: a place takes that of all registers up to its own, since a shuffle gives
// zero where the highest bit is set.
INLINED TARGET_AVX2 __m256i bytes_at(const __m256i *table, const unsigned registers, __m256i places) {
  __m256i bytes = _mm256_shuffle_epi8(table[0], places);
  for (unsigned i = 1; i < registers; i++) {
    const __m256i own = _mm256_sub_epi8(places, _mm256_set1_epi8((char)(16 * i)));
    bytes = _mm256_xor_si256(bytes, _mm256_shuffle_epi8(table[i], own));
  }
  return bytes;
}

// Ones for those of 32 nodes whose code is not greater than the threshold.
INLINED TARGET_AVX2 __m256i are_low(
    const __m256i *codes, const unsigned registers, const uint8_t *columns, const uint8_t *thresholds) {
  const __m256i code = bytes_at(codes, registers, _mm256_loadu_si256((const __m256i *)columns));
  const __m256i above = _mm256_subs_epu8(code, _mm256_loadu_si256((const __m256i *)thresholds));
  return _mm256_cmpeq_epi8(above, _mm256_setzero_si256());
}

INLINED TARGET_AVX2 void leaves_of_complete(
    const martlet_row_plan *plan, size_t first, size_t count, const __m256i *codes, const unsigned registers,
    uint64_t leaves[GROUP]) {
  const __m256i one = _mm256_set1_epi64x(1);
  uint64_t decisions[GROUP] __attribute__((aligned(32)));
  for (size_t tree = 0; tree < count; tree++) {
    const uint8_t *nodes = plan->nodes + plan->trees[first + tree].first_node;
    const uint32_t upper = (uint32_t)_mm256_movemask_epi8(are_low(codes, registers, nodes, nodes + 64));
    const uint32_t lower = (uint32_t)_mm256_movemask_epi8(are_low(codes, registers, nodes + 32, nodes + 96));
    decisions[tree] = ~((uint64_t)lower << 32 | upper);
  }
  for (size_t tree = count; tree % 4 != 0; tree++) decisions[tree] = 0;
  for (size_t tree = 0; tree < count; tree += 4) {
    const __m256i word = _mm256_load_si256((const __m256i *)(decisions + tree));
    // The root is node 1.
    __m256i node = _mm256_add_epi64(_mm256_set1_epi64x(2), _mm256_and_si256(_mm256_srli_epi64(word, 1), one));
    for (int level = 1; level < 6; level++) {
      const __m256i bit = _mm256_and_si256(_mm256_srlv_epi64(word, node), one);
      node = _mm256_add_epi64(_mm256_add_epi64(node, node), bit);
    }
    _mm256_storeu_si256((__m256i *)(leaves + tree), _mm256_and_si256(node, _mm256_set1_epi64x(63)));
  }
}

// Makes each of 32 nodes point twice as far.
INLINED TARGET_AVX2 __m256i doubled(__m256i next) {
  const __m256i low = _mm256_permute2x128_si256(next, next, 0x00), high = _mm256_permute2x128_si256(next, next, 0x11);
  const __m256i table[2] = {low, _mm256_xor_si256(low, high)};
  return bytes_at(table, 2, next);
}

INLINED TARGET_AVX2 void leaves_of_halves(
    const martlet_row_plan *plan, size_t first, size_t count, const __m256i *codes, const unsigned registers,
    uint64_t leaves[GROUP]) {
  uint8_t ways[GROUP][32] __attribute__((aligned(32)));
  uint32_t decisions[GROUP];
  for (size_t tree = 0; tree < count; tree++) {
    const uint32_t place = plan->trees[first + tree].first_node;
    const uint8_t *nodes = plan->nodes + place;
    const __m256i is_low = are_low(codes, registers, nodes, nodes + 64);
    __m256i next = _mm256_blendv_epi8(
        _mm256_loadu_si256((const __m256i *)(nodes + 192)), _mm256_loadu_si256((const __m256i *)(nodes + 128)), is_low);
    // Nodes of the second tree of a pair are numbered from 32 on.
    next = doubled(_mm256_and_si256(next, _mm256_set1_epi8(31)));
    _mm256_store_si256((__m256i *)ways[tree], next);
    decisions[tree] = ~(uint32_t)_mm256_movemask_epi8(is_low);
  }
  for (size_t tree = count; tree % LANES != 0; tree++) {
    decisions[tree] = 0;
    _mm256_store_si256((__m256i *)ways[tree], _mm256_setzero_si256());
  }
  const uint32_t steps = (plan->longest_way + 1) / 2;
  for (size_t tree = 0; tree < count; tree += LANES) {
    const uint8_t *way = ways[tree];
    // Named one by one, so that all of them stay in registers and a step is a load.
    size_t a = way[0], b = way[32], c = way[64], d = way[96], e = way[128], f = way[160], g = way[192], h = way[224];
    for (uint32_t step = 1; step < steps; step++) {
      a = way[a], b = way[32 + b], c = way[64 + c], d = way[96 + d];
      e = way[128 + e], f = way[160 + f], g = way[192 + g], h = way[224 + h];
    }
    const size_t nodes[LANES] = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < LANES; i++) leaves[tree + i] = 2 * nodes[i] + (decisions[tree + i] >> nodes[i] & 1);
  }
}

#define DEFINE_ROWS(NAME, TYPE)                                                                                        \
  INLINED TARGET_AVX2 void NAME##_of(                                                                                  \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, TYPE *scores,                     \
      const unsigned registers) {                                                                                      \
    for (size_t first = 0; first < plan->tree_count; first += GROUP) {                                                 \
      const size_t trees = plan->tree_count - first < GROUP ? plan->tree_count - first : GROUP;                        \
      TYPE *to = scores;                                                                                               \
      for (size_t row = 0; row < count; row++, to += plan->target_count) {                                             \
        __m256i codes[4];                                                                                              \
        uint64_t leaves[GROUP];                                                                                        \
        for (unsigned i = 0; i < registers; i++)                                                                       \
          codes[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(rows + row * pitch + 16 * i)));     \
        for (unsigned i = registers - 1; i > 0; i--) codes[i] = _mm256_xor_si256(codes[i], codes[i - 1]);              \
        if (plan->is_complete) leaves_of_complete(plan, first, trees, codes, registers, leaves);                       \
        else leaves_of_halves(plan, first, trees, codes, registers, leaves);                                           \
        if (plan->is_regular) {                                                                                        \
          const TYPE *values = (const TYPE *)plan->values + 64 * first;                                                \
          TYPE sum = to[plan->target];                                                                                 \
          for (size_t tree = 0; tree < trees; tree++, values += 64) sum += values[leaves[tree]];                       \
          to[plan->target] = sum;                                                                                      \
          continue;                                                                                                    \
        }                                                                                                              \
        for (size_t index = 0; index < trees; index++) {                                                               \
          const martlet_row_tree *tree = plan->trees + first + index;                                                  \
          const TYPE *value = (const TYPE *)plan->values + tree->first_value + leaves[index];                          \
          const uint32_t *outputs = plan->outputs + tree->first_output;                                                \
          for (uint32_t output = 0; output < tree->outputs; output++, value += 64) to[outputs[output]] += *value;      \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  TARGET_AVX2 void NAME(                                                                                               \
      const martlet_row_plan *plan, const uint8_t *rows, size_t pitch, size_t count, TYPE *scores) {                   \
    const size_t columns = plan->encoder.column_count;                                                                 \
    if (columns <= 16) return NAME##_of(plan, rows, pitch, count, scores, 1);                                          \
    if (columns <= 32) return NAME##_of(plan, rows, pitch, count, scores, 2);                                          \
    NAME##_of(plan, rows, pitch, count, scores, 4);                                                                    \
  }

DEFINE_ROWS(martlet_rows_avx2_float, float)
DEFINE_ROWS(martlet_rows_avx2_double, double)

#endif
