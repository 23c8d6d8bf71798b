// Trees for 64 rows side by side, one byte for each row.
//
// A node is one comparison of 64 codes with its threshold and one blend of what its two children came to, from the
// leaves up, so there is no branch and no gather. What comes out at the root is the number of the leaf of each row.
// Complete trees (up to depth 6 in registers) need no addresses of children; trees of other shapes keep what each node
// comes to in memory that stays in the first-level cache.

#include "leaves.h"

// The most rows that go through a tree before the next one.
#define ROWS_TOGETHER 512

// Where the results of nodes begin, behind the numbers of 256 leaves; and where all that begins once more, for the
// second of two vectors of rows that go together.
#define NODES (256 * BLOCK)
#define PART_RESULTS (2 * NODES)

#define PORTABLE_WIDTH 16
typedef uint8_t bytes __attribute__((vector_size(PORTABLE_WIDTH)));

#define NAME(X) X##_portable
#define TARGET
#define WIDTH PORTABLE_WIDTH
#define VECTOR bytes
#define MASK bytes
#define LOAD(FROM) (*(const bytes *)(FROM))
#define STORE(TO, VALUE) (*(bytes *)(TO) = (VALUE))
#define FILL(BYTE) ((bytes){0} + (uint8_t)(BYTE))
// All bits where the code is not above the threshold.
#define TEST(FROM, THRESHOLD) ((bytes)(__builtin_elementwise_max(LOAD(FROM), (THRESHOLD)) == (THRESHOLD)))
#define SPREAD(THRESHOLD) FILL(*(const uint8_t *)(THRESHOLD))
#define PAIR(TESTED, FIRST) (FILL((FIRST) + 1) + (TESTED))
#define PICK(TESTED, WHEN_FALSE, WHEN_TRUE, LEAVES) (((WHEN_FALSE) & (TESTED)) | ((WHEN_TRUE) & ~(TESTED)))
#define CHOOSE(TESTED, WHEN_FALSE, WHEN_TRUE) PICK(TESTED, WHEN_FALSE, WHEN_TRUE, 0)
#define SHIFTED(VALUE, LEAVES) ((VALUE) + FILL(LEAVES))
#include "select_template.h"

#if defined(__x86_64__)
#define NAME(X) X##_avx2
#define TARGET TARGET_AVX2
#define WIDTH 32
#define VECTOR __m256i
#define MASK __m256i
#define LOAD(FROM) _mm256_loadu_si256((const __m256i *)(FROM))
#define STORE(TO, VALUE) _mm256_storeu_si256((__m256i *)(TO), VALUE)
#define SPREAD(THRESHOLD) _mm256_set1_epi32((int)*(THRESHOLD))
#define TEST(FROM, THRESHOLD) _mm256_cmpeq_epi8(_mm256_max_epu8(LOAD(FROM), THRESHOLD), THRESHOLD)
#define PAIR(TESTED, FIRST) _mm256_add_epi8(_mm256_set1_epi8((char)((FIRST) + 1)), TESTED)
#define PICK(TESTED, WHEN_FALSE, WHEN_TRUE, LEAVES) _mm256_blendv_epi8(WHEN_TRUE, WHEN_FALSE, TESTED)
#define CHOOSE(TESTED, WHEN_FALSE, WHEN_TRUE) _mm256_blendv_epi8(WHEN_TRUE, WHEN_FALSE, TESTED)
#define SHIFTED(VALUE, LEAVES) _mm256_add_epi8(VALUE, _mm256_set1_epi8((char)(LEAVES)))
#include "select_template.h"

// A comparison gives a mask here, and a sum under that mask is the choice between two numbers of leaves: those of a
// sub-tree count from 0.
#define NAME(X) X##_avx512
#define TARGET TARGET_AVX512
#define WIDTH 64
#define VECTOR __m512i
#define MASK __mmask64
#define LOAD(FROM) _mm512_loadu_si512(FROM)
#define STORE(TO, VALUE) _mm512_storeu_si512(TO, VALUE)
#define SPREAD(THRESHOLD) _mm512_set1_epi32((int)*(THRESHOLD))
#define TEST(FROM, THRESHOLD) _mm512_cmpgt_epu8_mask(LOAD(FROM), THRESHOLD)
#define PAIR(TESTED, FIRST) _mm512_maskz_mov_epi8(TESTED, _mm512_set1_epi8(1))
#define PICK(TESTED, WHEN_FALSE, WHEN_TRUE, LEAVES)                                                                    \
  _mm512_mask_add_epi8(WHEN_FALSE, TESTED, WHEN_TRUE, _mm512_set1_epi8((char)(LEAVES)))
#define CHOOSE(TESTED, WHEN_FALSE, WHEN_TRUE) _mm512_mask_mov_epi8(WHEN_FALSE, TESTED, WHEN_TRUE)
#define SHIFTED(VALUE, LEAVES) (VALUE)
#include "select_template.h"
#endif

static size_t padded(size_t rows) { return (rows + BLOCK - 1) / BLOCK * BLOCK; }

size_t martlet_select_bytes(const martlet_select_plan *plan, size_t rows) {
  const size_t value = plan->encoder.is_double ? sizeof(double) : sizeof(float);
  const size_t together = padded(rows < ROWS_TOGETHER ? rows : ROWS_TOGETHER);
  return 2 * PART_RESULTS + together * (plan->encoder.column_count + plan->target_count * value);
}

// Temporary memory: numbers of leaves and results of nodes, codes, sums.
#define SELECT(TYPE, LEVEL)                                                                                            \
  {                                                                                                                    \
    TYPE *sums = (TYPE *)(codes + padded(n) * plan->encoder.column_count);                                             \
    TYPE *to = (TYPE *)scores + first * plan->target_count;                                                            \
    load_sums_##TYPE(to, n, plan->target_count, sums, padded(n));                                                      \
    trees_##TYPE##_##LEVEL(plan, codes, padded(n), results, sums);                                                     \
    store_sums_##TYPE(to, n, plan->target_count, sums, padded(n));                                                     \
    continue;                                                                                                          \
  }

void martlet_select(
    const martlet_select_plan *plan, const void *rows, size_t stride, size_t count, void *scores, void *temporary) {
  uint8_t *results = temporary;
  uint8_t *codes = results + 2 * PART_RESULTS;
  for (uint32_t leaf = 0; leaf < plan->operand_leaves; leaf++) {
    __builtin_memset(results + BLOCK * leaf, (int)leaf, BLOCK);
    __builtin_memset(results + PART_RESULTS + BLOCK * leaf, (int)leaf, BLOCK);
  }
  const bool is_double = plan->encoder.is_double;
  for (size_t first = 0; first < count; first += ROWS_TOGETHER) {
    const size_t n = count - first < ROWS_TOGETHER ? count - first : ROWS_TOGETHER;
    const size_t value = is_double ? sizeof(double) : sizeof(float);
    martlet_encode_blocks(&plan->encoder, (const uint8_t *)rows + first * stride * value, stride, n, codes);
#if defined(__x86_64__)
    if (plan->encoder.level >= MARTLET_CPU_AVX512) {
      if (is_double) SELECT(double, avx512)
      SELECT(float, avx512)
    }
    if (plan->encoder.level == MARTLET_CPU_AVX2) {
      if (is_double) SELECT(double, avx2)
      SELECT(float, avx2)
    }
#endif
    if (is_double) SELECT(double, portable)
    SELECT(float, portable)
  }
}
