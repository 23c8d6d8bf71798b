// Trees for many rows, one bit for each.
//
// A model has far fewer different tests than nodes: 500 trees of depth 6 have 31,500 nodes, but 28 features of 255
// thresholds only 7,140 tests. So each test is made once for a block of rows and leaves a bit for each row. A leaf's
// number is a few planes of bits, and a node chooses between those of its children by one operation for 512 rows. At
// the end the planes of 64 rows become 64 bytes, which look up the leaves' values.

#include "leaves.h"

// Where numbers of leaves begin among the places of a tree whose nodes have places.
#define LEAVES 256

// Compiled for several numbers of blocks of 64 rows that go together, which fill a vector.
#define BLOCKS 2
#define NAME(X) X##_portable_2
#define TARGET
#define LEAVES_FLOAT leaves_float_portable
#define LEAVES_DOUBLE leaves_double_portable
typedef uint8_t bytes __attribute__((vector_size(16)));
typedef bool flags __attribute__((ext_vector_type(16)));

INLINED uint64_t test_portable(const uint8_t *codes, uint32_t threshold) {
  uint64_t word = 0;
  const bytes t = (bytes){0} + (uint8_t)threshold;
  for (int part = 0; part < 4; part++) {
    const bytes code = *(const bytes *)(codes + 16 * part);
    const flags above = __builtin_convertvector((bytes)(__builtin_elementwise_max(code, t) != t), flags);
    uint16_t bits;
    __builtin_memcpy(&bits, &above, sizeof bits);
    word |= (uint64_t)bits << (16 * part);
  }
  return word;
}

// Spreads the bits of a byte over the bytes of a word.
INLINED void spread_portable(const uint64_t *planes, size_t pitch, unsigned count, uint8_t *leaf) {
  for (int group = 0; group < 8; group++) {
    uint64_t word = 0;
    for (unsigned plane = 0; plane < count; plane++) {
      const uint64_t byte = planes[plane * pitch] >> (8 * group) & 255;
      const uint64_t apart = byte * 0x0101010101010101 & 0x8040201008040201;
      word |= ((apart + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101) << plane;
    }
    __builtin_memcpy(leaf + 8 * group, &word, sizeof word);
  }
}

#define TEST test_portable
#define SPREAD spread_portable
#include "planes_template.h"

#if defined(__x86_64__)
INLINED TARGET_AVX2 uint64_t test_avx2(const uint8_t *codes, uint32_t threshold) {
  const __m256i t = _mm256_set1_epi32((int)threshold);
  uint64_t word = 0;
  for (int part = 0; part < 2; part++) {
    const __m256i code = _mm256_loadu_si256((const __m256i *)(codes + 32 * part));
    const uint32_t below = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(code, t), t));
    word |= (uint64_t)~below << (32 * part);
  }
  return word;
}

INLINED TARGET_AVX2 void spread_avx2(const uint64_t *planes, size_t pitch, unsigned count, uint8_t *leaf) {
  const __m256i bytes = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bits = _mm256_set1_epi64x((long long)0x8040201008040201);
  for (int part = 0; part < 2; part++) {
    __m256i word = _mm256_setzero_si256();
    for (unsigned plane = 0; plane < count; plane++) {
      const __m256i all = _mm256_set1_epi32((int)(planes[plane * pitch] >> (32 * part)));
      const __m256i bit = _mm256_and_si256(_mm256_shuffle_epi8(all, bytes), bits);
      const __m256i is_set = _mm256_cmpeq_epi8(bit, bits);
      word = _mm256_or_si256(word, _mm256_and_si256(is_set, _mm256_set1_epi8((char)(1 << plane))));
    }
    _mm256_storeu_si256((__m256i *)(leaf + 32 * part), word);
  }
}

#define TARGET TARGET_AVX2
#define LEAVES_FLOAT leaves_float_avx2
#define LEAVES_DOUBLE leaves_double_avx2
#define TEST test_avx2
#define SPREAD spread_avx2
#define BLOCKS 4
#define NAME(X) X##_avx2_4
#include "planes_template.h"

#define TARGET TARGET_AVX2
#define LEAVES_FLOAT leaves_float_avx2
#define LEAVES_DOUBLE leaves_double_avx2
#define TEST test_avx2
#define SPREAD spread_avx2
#define BLOCKS 2
#define NAME(X) X##_avx2_2
#include "planes_template.h"

INLINED TARGET_AVX512 uint64_t test_avx512(const uint8_t *codes, uint32_t threshold) {
  return _cvtmask64_u64(_mm512_cmpgt_epu8_mask(_mm512_loadu_si512(codes), _mm512_set1_epi32((int)threshold)));
}

INLINED TARGET_AVX512 void spread_avx512(const uint64_t *planes, size_t pitch, unsigned count, uint8_t *leaf) {
  __m512i word = _mm512_maskz_mov_epi8(_cvtu64_mask64(planes[0]), _mm512_set1_epi8(1));
  for (unsigned plane = 1; plane < count; plane++)
    word = _mm512_mask_add_epi8(
        word, _cvtu64_mask64(planes[plane * pitch]), word, _mm512_set1_epi8((char)(1 << plane)));
  _mm512_storeu_si512(leaf, word);
}

#define TARGET TARGET_AVX512
#define LEAVES_FLOAT leaves_float_avx512
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define BLOCKS 8
#define NAME(X) X##_avx512_8
#include "planes_template.h"

typedef uint64_t plane_of_8 __attribute__((vector_size(64)));

// Byte b of plane q to byte 7 - q of word b.
static uint8_t planes_to_words[64] __attribute__((aligned(64)));

__attribute__((constructor)) static void fill_planes_to_words(void) {
  for (int i = 0; i < 64; i++) planes_to_words[i] = (uint8_t)(8 * (7 - i % 8) + i / 8);
}

// Planes of 8 blocks to words by block, then each 8 by 8 bits turned over by one instruction.
INLINED TARGET_AVX512_BYTES void spread_8_blocks(const plane_of_8 *planes, unsigned count, uint8_t *leaf) {
  __m512i p[8];
  for (unsigned i = 0; i < 8; i++) p[i] = i < count ? (__m512i)planes[i] : _mm512_setzero_si512();
  const __m512i turn = _mm512_set1_epi64((long long)0x8040201008040201);
  const __m512i order = _mm512_load_si512(planes_to_words);
  __m512i pair[4][2];
  for (int i = 0; i < 4; i++) {
    pair[i][0] = _mm512_unpacklo_epi64(p[2 * i], p[2 * i + 1]);
    pair[i][1] = _mm512_unpackhi_epi64(p[2 * i], p[2 * i + 1]);
  }
  for (int odd = 0; odd < 2; odd++) {
    const __m512i a = _mm512_shuffle_i64x2(pair[0][odd], pair[1][odd], 0x88);
    const __m512i b = _mm512_shuffle_i64x2(pair[0][odd], pair[1][odd], 0xdd);
    const __m512i c = _mm512_shuffle_i64x2(pair[2][odd], pair[3][odd], 0x88);
    const __m512i d = _mm512_shuffle_i64x2(pair[2][odd], pair[3][odd], 0xdd);
    const __m512i words[4] = {
        _mm512_shuffle_i64x2(a, c, 0x88), _mm512_shuffle_i64x2(b, d, 0x88), _mm512_shuffle_i64x2(a, c, 0xdd),
        _mm512_shuffle_i64x2(b, d, 0xdd)};
    for (int i = 0; i < 4; i++) {
      const __m512i bits = _mm512_permutexvar_epi8(order, words[i]);
      _mm512_storeu_si512(leaf + BLOCK * (2 * i + odd), _mm512_gf2p8affine_epi64_epi8(turn, bits, 0));
    }
  }
}

#define TARGET TARGET_AVX512_BYTES
#define LEAVES_FLOAT leaves_float_bytes
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define SPREAD_BLOCKS spread_8_blocks
#define BLOCKS 8
#define NAME(X) X##_avx512_bytes_8
#include "planes_template.h"

#define TARGET TARGET_AVX512_BYTES
#define LEAVES_FLOAT leaves_float_bytes
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define BLOCKS 4
#define NAME(X) X##_avx512_bytes_4
#include "planes_template.h"

#define TARGET TARGET_AVX512_BYTES
#define LEAVES_FLOAT leaves_float_bytes
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define BLOCKS 2
#define NAME(X) X##_avx512_bytes_2
#include "planes_template.h"

#define TARGET TARGET_AVX512_BYTES
#define TEST test_avx512
#define BLOCKS 1
#define NAME(X) X##_avx512_bytes_1
#include "planes_template.h"

// To the order of sums that tables of bytes have, for `blocks` times 64 sums, and back.
static TARGET_AVX512_BYTES void turn_sums(float *sums, size_t blocks) {
  for (size_t block = 0; block < blocks; block++, sums += BLOCK) {
    __m512 s[4];
    for (int i = 0; i < 4; i++) s[i] = _mm512_loadu_ps(sums + 16 * i);
    const __m512 a = _mm512_shuffle_f32x4(s[0], s[1], 0x44), b = _mm512_shuffle_f32x4(s[0], s[1], 0xee);
    const __m512 c = _mm512_shuffle_f32x4(s[2], s[3], 0x44), d = _mm512_shuffle_f32x4(s[2], s[3], 0xee);
    _mm512_storeu_ps(sums, _mm512_shuffle_f32x4(a, c, 0x88));
    _mm512_storeu_ps(sums + 16, _mm512_shuffle_f32x4(a, c, 0xdd));
    _mm512_storeu_ps(sums + 32, _mm512_shuffle_f32x4(b, d, 0x88));
    _mm512_storeu_ps(sums + 48, _mm512_shuffle_f32x4(b, d, 0xdd));
  }
}

// Between the planes of a tree and its leaves come the planes of so many other trees, so that words are not read back
// right after they are written.
#define LAG 7

// Word by word, as they come from registers: the compiler would put several together, through memory.
INLINED TARGET_AVX512_BYTES void store_planes(const plane_avx512_bytes_1 *planes, unsigned count, uint64_t *words) {
  for (unsigned i = 0; i < 8; i++) {
    words[i] = i < count ? planes[i][0] : 0;
    __asm__ volatile("" ::: "memory");
  }
}

// 64 rows: the planes of a tree are eight words, which are turned over at once.
INLINED TARGET_AVX512_BYTES __m512i spread_1_block(const uint64_t *planes, __m512i order) {
  const __m512i turn = _mm512_set1_epi64((long long)0x8040201008040201);
  return _mm512_gf2p8affine_epi64_epi8(turn, _mm512_permutexvar_epi8(order, _mm512_load_si512(planes)), 0);
}

INLINED TARGET_AVX512_BYTES void find_words(
    const martlet_plane_plan *plan, size_t index, const uint64_t *tests, uint64_t *places, uint64_t words[LAG + 1][8]) {
  const martlet_plane_tree *tree = plan->trees + index;
  plane_avx512_bytes_1 planes[8];
  if (tree->depth == 6) {
    level_6_avx512_bytes_1(tests, plan->tests + tree->first_node, planes);
    return store_planes(planes, 6, words[index % (LAG + 1)]);
  }
  find_planes_avx512_bytes_1(plan, tree, tests, (plane_avx512_bytes_1 *)places, planes);
  store_planes(planes, tree->planes, words[index % (LAG + 1)]);
}

// A loop over trees, and over their leaves as many trees later.
#define FOR_EACH_LEAVES(ADD)                                                                                           \
  for (size_t index = 0; index < plan->tree_count + LAG; index++) {                                                    \
    if (index < plan->tree_count) find_words(plan, index, tests, places, words);                                       \
    if (index < LAG) continue;                                                                                         \
    const martlet_leaves *leaves = &plan->trees[index - LAG].leaves;                                                   \
    const __m512i leaf = spread_1_block(words[(index - LAG) % (LAG + 1)], order);                                      \
    ADD                                                                                                                \
  }

// Sums of one target stay in registers.
static TARGET_AVX512_BYTES void score_single_float_1(
    const martlet_plane_plan *plan, const uint64_t *tests, uint64_t *places, float *sums) {
  uint64_t words[LAG + 1][8] __attribute__((aligned(BLOCK)));
  const __m512i order = _mm512_load_si512(planes_to_words);
  __m512 sum[4];
  for (int i = 0; i < 4; i++) sum[i] = _mm512_load_ps(sums + 16 * i);
  FOR_EACH_LEAVES({
    __m512 value[4];
    values_of_bytes((const float *)plan->values + leaves->first_value, leaf, value);
    for (int i = 0; i < 4; i++) sum[i] = _mm512_add_ps(sum[i], value[i]);
  })
  for (int i = 0; i < 4; i++) _mm512_store_ps(sums + 16 * i, sum[i]);
}

#define DEFINE_SCORE_1(NAME, TYPE, ADD, IS_SPLIT)                                                                      \
  static TARGET_AVX512_BYTES void NAME(                                                                                \
      const martlet_plane_plan *plan, const uint8_t *codes, uint64_t *tests, uint64_t *places, TYPE *sums) {          \
    make_tests_avx512_bytes_1(plan, codes, tests);                                                                     \
    if (IS_SPLIT && plan->is_single) return score_single_float_1(plan, tests, places, (float *)sums);                  \
    uint64_t words[LAG + 1][8] __attribute__((aligned(BLOCK)));                                                        \
    const __m512i order = _mm512_load_si512(planes_to_words);                                                          \
    FOR_EACH_LEAVES({                                                                                                  \
      uint8_t numbers[BLOCK] __attribute__((aligned(BLOCK)));                                                          \
      _mm512_store_si512(numbers, leaf);                                                                               \
      ADD(leaves, plan->values, plan->outputs, numbers, BLOCK, sums, BLOCK);                                           \
    })                                                                                                                 \
  }

DEFINE_SCORE_1(score_float_avx512_bytes_1, float, leaves_float_bytes, true)
DEFINE_SCORE_1(score_double_avx512_bytes_1, double, leaves_double_avx512, false)

#define TARGET TARGET_AVX512
#define LEAVES_FLOAT leaves_float_avx512
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define BLOCKS 4
#define NAME(X) X##_avx512_4
#include "planes_template.h"

#define TARGET TARGET_AVX512
#define LEAVES_FLOAT leaves_float_avx512
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define BLOCKS 2
#define NAME(X) X##_avx512_2
#include "planes_template.h"
#endif

// Blocks that go together for so many rows.
static size_t blocks_for(const martlet_plane_plan *plan, size_t rows) {
  const size_t most = plan->encoder.level >= MARTLET_CPU_AVX512 ? 8 : plan->encoder.level == MARTLET_CPU_AVX2 ? 4 : 2;
  // One block alone pays with bit matrices only.
  size_t blocks = plan->encoder.level == MARTLET_CPU_AVX512_BYTES ? 1 : 2;
  while (blocks < most && blocks * BLOCK < rows) blocks *= 2;
  return blocks;
}

size_t martlet_score_planes_bytes(const martlet_plane_plan *plan, size_t rows) {
  const size_t value = plan->encoder.is_double ? sizeof(double) : sizeof(float);
  const size_t blocks = blocks_for(plan, rows);
  return blocks * (BLOCK * (plan->encoder.column_count + plan->target_count * value)
                   + sizeof(uint64_t) * (plan->test_count + 2 * LEAVES))
         + sizeof(uint64_t) * (4 * LEAVES + 8);
}

#define SCORE(TYPE, NAME)                                                                                              \
  {                                                                                                                    \
    TYPE *sums = (TYPE *)next, *to = (TYPE *)scores + first * plan->target_count;                                      \
    load_sums_##TYPE(to, n, plan->target_count, sums, BLOCK * blocks);                                                 \
    NAME(plan, codes, tests, places, sums);                                                                            \
    store_sums_##TYPE(to, n, plan->target_count, sums, BLOCK * blocks);                                                \
    break;                                                                                                             \
  }

#define SCORE_CASE(LEVEL, BLOCKS, SUFFIX)                                                                              \
  case 16 * (LEVEL) + (BLOCKS):                                                                                        \
    if (plan->encoder.is_double) SCORE(double, score_double_##SUFFIX)                                                  \
    SCORE(float, score_float_##SUFFIX)

// With tables of bytes the sums of 64 rows have another order.
#define SCORE_BYTES_CASE(BLOCKS)                                                                                       \
  case 16 * MARTLET_CPU_AVX512_BYTES + (BLOCKS): {                                                                     \
    if (plan->encoder.is_double) SCORE(double, score_double_avx512_bytes_##BLOCKS)                                     \
    float *sums = (float *)next, *to = (float *)scores + first * plan->target_count;                                   \
    load_sums_float(to, n, plan->target_count, sums, BLOCK * blocks);                                                  \
    turn_sums(sums, blocks * plan->target_count);                                                                      \
    score_float_avx512_bytes_##BLOCKS(plan, codes, tests, places, sums);                                               \
    turn_sums(sums, blocks * plan->target_count);                                                                      \
    store_sums_float(to, n, plan->target_count, sums, BLOCK * blocks);                                                 \
    break;                                                                                                             \
  }

void martlet_score_planes(
    const martlet_plane_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary) {
  const size_t value = plan->encoder.is_double ? sizeof(double) : sizeof(float);
  size_t n;
  for (size_t first = 0; first < count; first += n) {
    const size_t blocks = blocks_for(plan, count - first);
    n = count - first < BLOCK * blocks ? count - first : BLOCK * blocks;
    uint8_t *codes = temporary;
    uint8_t *next = codes + blocks * BLOCK * plan->encoder.column_count;
    // Whatever comes behind the tests begins at a whole vector.
    uint64_t *tests = (uint64_t *)next, *places = tests + (blocks * plan->test_count + 7) / 8 * 8;
    next = (uint8_t *)(places + (blocks > 2 ? blocks : 2) * 2 * LEAVES);
    // Blocks behind the last row hold some codes, whose results nobody reads.
    martlet_encode_blocks(&plan->encoder, (const uint8_t *)rows + first * stride * value, stride, n, codes);
    switch (16 * plan->encoder.level + (int)blocks) {
#if defined(__x86_64__)
      SCORE_BYTES_CASE(8)
      SCORE_BYTES_CASE(4)
      SCORE_BYTES_CASE(2)
      SCORE_BYTES_CASE(1)
      SCORE_CASE(MARTLET_CPU_AVX512, 8, avx512_8)
      SCORE_CASE(MARTLET_CPU_AVX512, 4, avx512_4)
      SCORE_CASE(MARTLET_CPU_AVX512, 2, avx512_2)
      SCORE_CASE(MARTLET_CPU_AVX2, 4, avx2_4)
      SCORE_CASE(MARTLET_CPU_AVX2, 2, avx2_2)
#endif
      SCORE_CASE(MARTLET_CPU_PORTABLE, 2, portable_2)
    default: __builtin_trap();
    }
  }
}
