// Deep trees: 64 pairs of a row and a tree go down together.
//
// A node is a word that holds a code's column, a threshold and where its children are, so a step is two gathers, one of
// codes and one of nodes, and a few operations that decide 16 pairs. Four vectors of pairs are on their way at a time:
// while one waits for its nodes, the others go on. Nothing branches but the end of a vector. A tree is a quarter of what
// nodes with values and pointers take, so one tree and the codes of 512 rows stay in the first-level cache, and a whole
// forest in the second; therefore all rows of a block go through a tree before the next tree.
//
// Of few rows each goes through several trees at once, so that all lanes are used; the values of leaves are added in
// the order of trees all the same.

#include "targets.h"

// Pairs that are on their way together.
#define PAIRS 64
// Bytes of codes that stay in the first-level cache beside a tree.
#define CODE_BYTES (32 << 10)
#define MOST_ROWS 512

// The bits of a word that is no inner node: it is the end of a page, and whether another page follows.
#define END 1
#define LINK 2
// A page begins at a multiple of so many words, to this power of 2.
#define PAGE_SHIFT 4

static size_t row_bytes(const martlet_gather_plan *plan) {
  // Codes of categories are written in vectors, which reach into the undefined rest of the row.
  const size_t rest = plan->encoder.categories == NULL ? 0 : 64;
  return (2 * plan->encoder.column_count + rest + 64) / 64 * 64;
}

static size_t rows_together(const martlet_gather_plan *plan, size_t rows) {
  size_t most = CODE_BYTES / row_bytes(plan) / PAIRS * PAIRS;
  if (most < PAIRS) most = PAIRS;
  if (most > MOST_ROWS) most = MOST_ROWS;
  return rows < most ? rows : most;
}

size_t martlet_gather_bytes(const martlet_gather_plan *plan, size_t rows) {
  // The last column is read with the two bytes behind it.
  return rows_together(plan, rows) * row_bytes(plan) + 64;
}

#if defined(__x86_64__)
// Where the pairs are: the words of `roots` and the rows whose codes begin at `places`, both by pair. `roots` is NULL
// when all are at the first of `nodes`, a tree, whose upper levels come from registers then: slots 2 to 63 of a page are
// its first five levels. Writes the leaf of each pair, as a word.

INLINED TARGET_AVX512 void descend_avx512(
    const martlet_gather_plan *plan, const uint32_t *nodes, const uint32_t *roots, const uint16_t *codes,
    const uint32_t *places, size_t pairs, uint32_t *leaves, const bool has_links) {
  const __m512i one = _mm512_set1_epi32(END), column_mask = _mm512_set1_epi32((int)plan->column_mask);
  const __m512i child_mask = _mm512_set1_epi32((int)plan->child_mask);
  const __m128i threshold_shift = _mm_cvtsi32_si128((int)plan->threshold_shift);
  const __m128i column_shift = _mm_cvtsi32_si128((int)plan->column_shift);
  __m512i word[4], page[4];
// The place of the child that vector k goes to; ends stay where they are, as `in` says.
#define CHILD                                                                                                          \
  const __m512i column = _mm512_and_si512(_mm512_srl_epi32(word[k], column_shift), column_mask);                       \
  const __m512i code = _mm512_mask_i32gather_epi32(                                                                    \
      column, in, _mm512_add_epi32(_mm512_loadu_si512(places + 16 * k), column), codes, 2);                            \
  const __mmask16 is_high = _mm512_cmpgt_epu32_mask(_mm512_sll_epi32(code, threshold_shift), word[k]);                 \
  const __m512i first = _mm512_and_si512(word[k], child_mask);                                                         \
  const __m512i child = _mm512_mask_or_epi32(first, is_high, first, one)

  if (roots == NULL) {
    __m512i top[4];
    for (int i = 0; i < 4; i++) top[i] = _mm512_loadu_si512(nodes + 16 * i);
    for (int k = 0; k < 4; k++) {
      word[k] = _mm512_set1_epi32((int)nodes[0]);
      page[k] = _mm512_setzero_si512();
    }
    for (int level = 1; level <= 5; level++) {
      for (int k = 0; k < 4; k++) {
        const __mmask16 in = _mm512_testn_epi32_mask(word[k], one);
        CHILD;
        if (level <= 3) {
          word[k] = _mm512_mask_permutexvar_epi32(word[k], in, child, top[0]);
          continue;
        }
        __m512i next = _mm512_permutex2var_epi32(top[0], child, top[1]);
        if (level == 5)
          next = _mm512_mask_mov_epi32(
              next, _mm512_test_epi32_mask(child, _mm512_set1_epi32(32)),
              _mm512_permutex2var_epi32(top[2], child, top[3]));
        word[k] = _mm512_mask_mov_epi32(word[k], in, next);
      }
    }
  } else {
    for (int k = 0; k < 4; k++) {
      const __mmask16 in = pairs >= 16 * (size_t)k + 16 ? 0xffff
                           : pairs <= 16 * (size_t)k    ? 0
                                                        : (__mmask16)((1u << (pairs - 16 * (size_t)k)) - 1);
      page[k] = _mm512_loadu_si512(roots + 16 * k);
      word[k] = _mm512_mask_i32gather_epi32(one, in, page[k], nodes, 4);
    }
  }
  for (;;) {
    for (uint32_t any = 1; any != 0;) {
      any = 0;
      for (int k = 0; k < 4; k++) {
        const __mmask16 in = _mm512_testn_epi32_mask(word[k], one);
        if (in == 0) continue;
        any |= in;
        CHILD;
        const __m512i place = roots == NULL && !has_links ? child : _mm512_add_epi32(child, page[k]);
        word[k] = _mm512_mask_i32gather_epi32(word[k], in, place, nodes, 4);
      }
    }
    if (!has_links) break;
    uint32_t any = 0;
    for (int k = 0; k < 4; k++) {
      const __mmask16 links = _mm512_test_epi32_mask(word[k], _mm512_set1_epi32(LINK));
      any |= links;
      const __m512i to = _mm512_slli_epi32(_mm512_srli_epi32(word[k], 2), PAGE_SHIFT);
      const __m512i root = roots == NULL ? _mm512_setzero_si512() : _mm512_loadu_si512(roots + 16 * k);
      page[k] = _mm512_mask_add_epi32(page[k], links, root, to);
      word[k] = _mm512_mask_i32gather_epi32(word[k], links, page[k], nodes, 4);
    }
    if (any == 0) break;
  }
  for (int k = 0; k < 4; k++) _mm512_storeu_si512(leaves + 16 * k, _mm512_srli_epi32(word[k], 2));
#undef CHILD
}

// The same with vectors of 8 pairs, 32 pairs at a time.
INLINED TARGET_AVX2 void descend_half_avx2(
    const martlet_gather_plan *plan, const uint32_t *nodes, const uint32_t *roots, const uint16_t *codes,
    const uint32_t *places, size_t pairs, uint32_t *leaves, const bool has_links) {
  const __m256i one = _mm256_set1_epi32(END), column_mask = _mm256_set1_epi32((int)plan->column_mask);
  const __m256i zero = _mm256_setzero_si256(), child_mask = _mm256_set1_epi32((int)plan->child_mask);
  const __m128i threshold_shift = _mm_cvtsi32_si128((int)plan->threshold_shift);
  const __m128i column_shift = _mm_cvtsi32_si128((int)plan->column_shift);
  __m256i word[4], page[4];
  for (int k = 0; k < 4; k++) {
    if (roots == NULL) {
      page[k] = zero;
      word[k] = _mm256_set1_epi32((int)nodes[0]);
    } else {
      page[k] = _mm256_loadu_si256((const __m256i *)(roots + 8 * k));
      const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
      const int left = pairs > 8 * (size_t)k ? (int)(pairs - 8 * (size_t)k) : 0;
      word[k] = _mm256_mask_i32gather_epi32(
          one, (const int *)nodes, page[k], _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane), 4);
    }
  }
  for (;;) {
    for (int any = 1; any != 0;) {
      any = 0;
      for (int k = 0; k < 4; k++) {
        const __m256i in = _mm256_cmpeq_epi32(_mm256_and_si256(word[k], one), zero);
        if (_mm256_testz_si256(in, in)) continue;
        any = 1;
        const __m256i column = _mm256_and_si256(_mm256_srl_epi32(word[k], column_shift), column_mask);
        const __m256i from = _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)(places + 8 * k)), column);
        const __m256i code = _mm256_sll_epi32(
            _mm256_mask_i32gather_epi32(zero, (const int *)(const void *)codes, from, in, 2), threshold_shift);
        // Greater and not equal: a node's lower bits are not 0, a shifted code's are.
        const __m256i is_high = _mm256_cmpeq_epi32(_mm256_max_epu32(code, word[k]), code);
        const __m256i child = _mm256_sub_epi32(_mm256_and_si256(word[k], child_mask), is_high);
        const __m256i place = roots == NULL && !has_links ? child : _mm256_add_epi32(child, page[k]);
        word[k] = _mm256_mask_i32gather_epi32(word[k], (const int *)nodes, place, in, 4);
      }
    }
    if (!has_links) break;
    __m256i any = zero;
    for (int k = 0; k < 4; k++) {
      const __m256i links = _mm256_cmpgt_epi32(_mm256_and_si256(word[k], _mm256_set1_epi32(LINK)), zero);
      any = _mm256_or_si256(any, links);
      const __m256i to = _mm256_slli_epi32(_mm256_srli_epi32(word[k], 2), PAGE_SHIFT);
      const __m256i root = roots == NULL ? zero : _mm256_loadu_si256((const __m256i *)(roots + 8 * k));
      page[k] = _mm256_blendv_epi8(page[k], _mm256_add_epi32(root, to), links);
      word[k] = _mm256_mask_i32gather_epi32(word[k], (const int *)nodes, page[k], links, 4);
    }
    if (_mm256_testz_si256(any, any)) break;
  }
  for (int k = 0; k < 4; k++) _mm256_storeu_si256((__m256i *)(leaves + 8 * k), _mm256_srli_epi32(word[k], 2));
}

INLINED TARGET_AVX2 void descend_avx2(
    const martlet_gather_plan *plan, const uint32_t *nodes, const uint32_t *roots, const uint16_t *codes,
    const uint32_t *places, size_t pairs, uint32_t *leaves, const bool has_links) {
  descend_half_avx2(plan, nodes, roots, codes, places, pairs, leaves, has_links);
  if (pairs > 32)
    descend_half_avx2(
        plan, nodes, roots == NULL ? NULL : roots + 32, codes, places + 32, pairs - 32, leaves + 32, has_links);
}

// Adds what `rows` rows come to in `count` trees; `leaves` is [trees, rows].
#define DEFINE_ADD(NAME, TYPE)                                                                                         \
  INLINED void NAME(                                                                                                   \
      const martlet_gather_plan *plan, const martlet_gather_tree *trees, size_t count, const uint32_t *leaves,         \
      size_t rows, TYPE *scores) {                                                                                     \
    for (size_t tree = 0; tree < count; tree++, leaves += rows) {                                                      \
      const TYPE *values = (const TYPE *)plan->values + trees[tree].first_value;                                       \
      if (plan->target_count == 1) {                                                                                   \
        for (size_t row = 0; row < rows; row++) scores[row] += values[leaves[row]];                                    \
        continue;                                                                                                      \
      }                                                                                                                \
      const uint32_t outputs = trees[tree].outputs, *targets = plan->outputs + trees[tree].first_output;               \
      TYPE *to = scores;                                                                                               \
      for (size_t row = 0; row < rows; row++, to += plan->target_count)                                                \
        for (uint32_t output = 0; output < outputs; output++)                                                          \
          to[targets[output]] += values[leaves[row] * (size_t)outputs + output];                                       \
    }                                                                                                                  \
  }

DEFINE_ADD(add_float, float)
DEFINE_ADD(add_double, double)

#define DEFINE_TREES(NAME, TYPE, TARGET, DESCEND, ADD)                                                                 \
  INLINED TARGET void NAME##_of(                                                                                       \
      const martlet_gather_plan *plan, const uint16_t *codes, size_t pitch, size_t rows, TYPE *scores,                 \
      const bool has_links) {                                                                                          \
    uint32_t roots[PAIRS], places[PAIRS], leaves[PAIRS];                                                               \
    const size_t full = rows / PAIRS * PAIRS, rest = rows - full;                                                      \
    if (full > 0) {                                                                                                    \
      for (uint32_t pair = 0; pair < PAIRS; pair++) places[pair] = pair * (uint32_t)pitch;                             \
      for (const martlet_gather_tree *tree = plan->trees; tree < plan->trees + plan->tree_count; tree++) {             \
        const uint32_t *nodes = plan->nodes + tree->root;                                                              \
        for (size_t row = 0; row < full; row += PAIRS) {                                                               \
          DESCEND(plan, nodes, NULL, codes + row * pitch, places, PAIRS, leaves, has_links);                           \
          ADD(plan, tree, 1, leaves, PAIRS, scores + row * plan->target_count);                                        \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    if (rest == 0) return;                                                                                             \
    const size_t together = PAIRS / rest;                                                                              \
    for (size_t pair = 0; pair < PAIRS; pair++) {                                                                      \
      places[pair] = (uint32_t)(pair % rest * pitch);                                                                  \
      roots[pair] = 0;                                                                                                 \
    }                                                                                                                  \
    for (size_t first = 0; first < plan->tree_count; first += together) {                                              \
      const martlet_gather_tree *trees = plan->trees + first;                                                          \
      const size_t count = plan->tree_count - first < together ? plan->tree_count - first : together;                  \
      for (size_t tree = 0; tree < count; tree++)                                                                      \
        for (size_t row = 0; row < rest; row++) roots[tree * rest + row] = trees[tree].root;                           \
      DESCEND(plan, plan->nodes, roots, codes + full * pitch, places, count * rest, leaves, has_links);                \
      ADD(plan, trees, count, leaves, rest, scores + full * plan->target_count);                                       \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  static TARGET void NAME(                                                                                             \
      const martlet_gather_plan *plan, const uint16_t *codes, size_t pitch, size_t rows, TYPE *scores) {               \
    if (plan->has_links) return NAME##_of(plan, codes, pitch, rows, scores, true);                                     \
    NAME##_of(plan, codes, pitch, rows, scores, false);                                                                \
  }

DEFINE_TREES(trees_float_avx512, float, TARGET_AVX512, descend_avx512, add_float)
DEFINE_TREES(trees_double_avx512, double, TARGET_AVX512, descend_avx512, add_double)
DEFINE_TREES(trees_float_avx2, float, TARGET_AVX2, descend_avx2, add_float)
DEFINE_TREES(trees_double_avx2, double, TARGET_AVX2, descend_avx2, add_double)
#else
// Never called: the level is that of the platform's base.
#define NONE(PLAN, CODES, PITCH, ROWS, SCORES) ((void)(SCORES))
#define trees_float_avx512 NONE
#define trees_double_avx512 NONE
#define trees_float_avx2 NONE
#define trees_double_avx2 NONE
#endif

#define DEFINE_SCORE(NAME, TYPE, TREES)                                                                                \
  static void NAME(                                                                                                    \
      const martlet_gather_plan *plan, const TYPE *rows, size_t stride, size_t count, TYPE *scores,                    \
      uint16_t *codes) {                                                                                               \
    const size_t bytes = row_bytes(plan), together = rows_together(plan, count);                                       \
    for (size_t first = 0; first < count; first += together) {                                                         \
      const size_t n = count - first < together ? count - first : together;                                            \
      martlet_encode_wide_rows(&plan->encoder, rows + first * stride, stride, n, codes, bytes);                        \
      if (plan->encoder.level >= MARTLET_CPU_AVX512)                                                                   \
        TREES##_avx512(plan, codes, bytes / 2, n, scores + first * plan->target_count);                                \
      else                                                                                                             \
        TREES##_avx2(plan, codes, bytes / 2, n, scores + first * plan->target_count);                                  \
    }                                                                                                                  \
  }

DEFINE_SCORE(score_float, float, trees_float)
DEFINE_SCORE(score_double, double, trees_double)

void martlet_gather(
    const martlet_gather_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary) {
  if (plan->encoder.is_double) return score_double(plan, rows, stride, count, scores, temporary);
  score_float(plan, rows, stride, count, scores, temporary);
}
