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

INLINED uint64_t test_portable(const uint8_t *codes, uint8_t threshold) {
  uint64_t word = 0;
  const bytes t = (bytes){0} + threshold;
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
INLINED TARGET_AVX2 uint64_t test_avx2(const uint8_t *codes, uint8_t threshold) {
  const __m256i t = _mm256_set1_epi8((char)threshold);
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

INLINED TARGET_AVX512 uint64_t test_avx512(const uint8_t *codes, uint8_t threshold) {
  return _cvtmask64_u64(_mm512_cmpgt_epu8_mask(_mm512_loadu_si512(codes), _mm512_set1_epi8((char)threshold)));
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

// Planes of 8 blocks to words by block, then each 8 by 8 bits turned over by one instruction.
INLINED TARGET_AVX512_BYTES void spread_8_blocks(const plane_of_8 *planes, unsigned count, uint8_t *leaf) {
  __m512i p[8];
  for (unsigned i = 0; i < 8; i++) p[i] = i < count ? (__m512i)planes[i] : _mm512_setzero_si512();
  const __m512i turn = _mm512_set1_epi64((long long)0x8040201008040201);
  // Byte b of plane q to byte 7 - q of word b.
  uint8_t places[64];
  for (int i = 0; i < 64; i++) places[i] = (uint8_t)(8 * (7 - i % 8) + i / 8);
  const __m512i order = _mm512_loadu_si512(places);
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
#define LEAVES_FLOAT leaves_float_avx512
#define LEAVES_DOUBLE leaves_double_avx512
#define TEST test_avx512
#define SPREAD spread_avx512
#define SPREAD_BLOCKS spread_8_blocks
#define BLOCKS 8
#define NAME(X) X##_avx512_bytes_8
#include "planes_template.h"

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
  size_t blocks = 2;
  while (blocks < most && blocks * BLOCK < rows) blocks *= 2;
  return blocks;
}

size_t martlet_score_planes_bytes(const martlet_plane_plan *plan, size_t rows) {
  const size_t value = plan->encoder.is_double ? sizeof(double) : sizeof(float);
  const size_t blocks = blocks_for(plan, rows);
  return blocks * (BLOCK * (plan->encoder.column_count + plan->target_count * value)
                   + sizeof(uint64_t) * (plan->test_count + 2 * LEAVES));
}

#define SCORE(TYPE, NAME, LOAD_SUMS, STORE_SUMS)                                                                       \
  {                                                                                                                    \
    TYPE *sums = (TYPE *)next, *to = (TYPE *)scores + first * plan->target_count;                                      \
    LOAD_SUMS(to, n, plan->target_count, sums, BLOCK * blocks);                                                        \
    NAME(plan, codes, tests, places, sums);                                                                            \
    STORE_SUMS(to, n, plan->target_count, sums, BLOCK * blocks);                                                       \
    break;                                                                                                             \
  }

#define SCORE_CASE(LEVEL, BLOCKS, SUFFIX)                                                                              \
  case 16 * (LEVEL) + (BLOCKS):                                                                                        \
    if (plan->encoder.is_double) SCORE(double, score_double_##SUFFIX, load_sums_double, store_sums_double)             \
    SCORE(float, score_float_##SUFFIX, load_sums_float, store_sums_float)

void martlet_score_planes(
    const martlet_plane_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary) {
  const size_t value = plan->encoder.is_double ? sizeof(double) : sizeof(float);
  size_t n;
  for (size_t first = 0; first < count; first += n) {
    const size_t blocks = blocks_for(plan, count - first);
    n = count - first < BLOCK * blocks ? count - first : BLOCK * blocks;
    uint8_t *codes = temporary;
    uint8_t *next = codes + blocks * BLOCK * plan->encoder.column_count;
    uint64_t *tests = (uint64_t *)next, *places = tests + blocks * plan->test_count;
    next = (uint8_t *)(places + blocks * 2 * LEAVES);
    // Blocks behind the last row hold some codes, whose results nobody reads.
    martlet_encode_blocks(&plan->encoder, (const uint8_t *)rows + first * stride * value, stride, n, codes);
    int level = plan->encoder.level;
    // Bit matrices pay for 512 rows.
    if (level == MARTLET_CPU_AVX512_BYTES && blocks < 8) level = MARTLET_CPU_AVX512;
    switch (16 * level + (int)blocks) {
#if defined(__x86_64__)
      SCORE_CASE(MARTLET_CPU_AVX512_BYTES, 8, avx512_bytes_8)
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
