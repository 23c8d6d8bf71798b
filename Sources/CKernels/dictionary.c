// Texts to the numbers of their categories: one lookup by the bytes for each value.
//
// A table is filled at load and only read from then on. Where the processor has AVX-512, a text of up to 64 bytes is one
// masked load, its hash a few operations on that register and its comparison one more, so that texts of any lengths
// pass without a branch that depends on them; elsewhere bytes are hashed eight at a time.

#include "CKernels.h"
#include "levels.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The first bytes of each key lie one behind the other, padded with zeros; longer keys are compared behind them as well.
#define HEAD 64
// How many texts ahead of the one that is looked up their bytes are asked for.
#define AHEAD 16

struct martlet_dictionary {
  // The bytes of the key and its index, one more than it; 0 where a slot is free.
  struct slot {
    uint32_t count, next;
  } *slots;
  size_t mask;
  // Chosen so that no two keys share a slot, where that can be had.
  uint64_t seed;
  uint8_t (*heads)[HEAD];
  martlet_text *keys;
  int32_t count;
};

#define FIRST 0x9e3779b97f4a7c15u
#define SECOND 0xc2b2ae3d27d4eb4fu

static inline uint64_t mixed(uint64_t hash) {
  hash ^= hash >> 32;
  hash *= FIRST;
  return hash ^ hash >> 29;
}

static inline uint64_t hash_bytes(const uint8_t *start, size_t count, uint64_t seed) {
  uint64_t hash = seed ^ count * SECOND, word;
  if (count >= 8) {
    const size_t last = count - 8;
    for (size_t i = 0; i < last; i += 8) {
      memcpy(&word, start + i, 8);
      hash = (hash ^ word) * FIRST;
      hash ^= hash >> 31;
    }
    memcpy(&word, start + last, 8);
  } else if (count >= 4) {
    uint32_t low, high;
    memcpy(&low, start, 4);
    memcpy(&high, start + count - 4, 4);
    word = low | (uint64_t)high << 32;
  } else if (count > 0) {
    word = start[0] | start[count / 2] << 8 | start[count - 1] << 16;
  } else {
    word = 0;
  }
  return mixed((hash ^ word) * FIRST);
}

#if defined(__x86_64__)
MARTLET_AVX512 static inline __m512i head_of(const uint8_t *start, size_t count) {
  return _mm512_maskz_loadu_epi8(count >= HEAD ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1, start);
}

// Products of the halves of each word, with the word added so that a half of zeros loses nothing.
MARTLET_AVX512 static inline uint64_t hash_head(__m512i head, martlet_text text, uint64_t seed) {
  const __m512i keys = _mm512_set_epi64(
      0x1cad21f72c81017cu, 0xdb979083e96dd4deu, 0x1f67b3b7a4a44072u, 0x78e5c0cc4ee679cbu, 0x2172ffcc7dd05a82u,
      0x8e2443f7744608b8u, 0x4c263a81e69035e0u, 0xb8fe6c3923a44bbeu);
  const __m512i other = _mm512_xor_si512(head, keys);
  const __m512i words =
      _mm512_add_epi64(_mm512_mul_epu32(other, _mm512_srli_epi64(other, 32)), _mm512_rol_epi64(head, 17));
  const __m256i half = _mm256_add_epi64(_mm512_castsi512_si256(words), _mm512_extracti64x4_epi64(words, 1));
  const __m128i quarter = _mm_add_epi64(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i eighth = _mm_add_epi64(quarter, _mm_ror_epi64(_mm_unpackhi_epi64(quarter, quarter), 23));
  const uint64_t sum = (uint64_t)_mm_cvtsi128_si64(eighth);
  uint64_t hash = (sum + (seed ^ text.count)) * FIRST;
  if (text.count > HEAD) hash ^= hash_bytes(text.start + HEAD, text.count - HEAD, seed);
  return hash >> 32 ^ hash;
}

MARTLET_AVX512 static inline int32_t find_wide(const martlet_dictionary *table, martlet_text text) {
  const __m512i head = head_of(text.start, text.count);
  const uint64_t hash = hash_head(head, text, table->seed);
  for (size_t at = hash;; at++) {
    const struct slot slot = table->slots[at & table->mask];
    if (slot.next == 0) return table->count;
    if (slot.count == text.count
        && _mm512_cmpneq_epi8_mask(head, _mm512_load_si512(table->heads[slot.next - 1])) == 0
        && (text.count <= HEAD
            || memcmp(table->keys[slot.next - 1].start + HEAD, text.start + HEAD, text.count - HEAD) == 0))
      return (int32_t)slot.next - 1;
  }
}

MARTLET_AVX512 static void codes_wide(
    const martlet_dictionary *table, const martlet_text *texts, size_t step, size_t rows, int32_t *codes) {
  // Texts are read once, so what comes is fetched ahead.
  size_t row = 0;
  for (; row + AHEAD < rows; row++) {
    __builtin_prefetch(texts[(row + AHEAD) * step].start);
    codes[row] = find_wide(table, texts[row * step]);
  }
  for (; row < rows; row++) codes[row] = find_wide(table, texts[row * step]);
}

MARTLET_AVX512 static uint64_t hash_wide(martlet_text text, uint64_t seed) {
  return hash_head(head_of(text.start, text.count), text, seed);
}
#endif

static inline int32_t find(const martlet_dictionary *table, martlet_text text) {
  const uint64_t hash = hash_bytes(text.start, text.count, table->seed);
  for (size_t at = hash;; at++) {
    const struct slot slot = table->slots[at & table->mask];
    if (slot.next == 0) return table->count;
    if (slot.count == text.count && (text.count == 0 || memcmp(table->keys[slot.next - 1].start, text.start, text.count) == 0))
      return (int32_t)slot.next - 1;
  }
}

static uint64_t hash_of(martlet_text text, uint64_t seed) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return hash_wide(text, seed);
#endif
  return hash_bytes(text.start, text.count, seed);
}

// Fills slots and returns whether every key has the first one that it asks for.
static bool fill(martlet_dictionary *table) {
  bool is_perfect = true;
  memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
  for (int32_t i = 0; i < table->count; i++) {
    size_t at = hash_of(table->keys[i], table->seed) & table->mask;
    for (; table->slots[at].next != 0; at = (at + 1) & table->mask) is_perfect = false;
    table->slots[at] = (struct slot){(uint32_t)table->keys[i].count, (uint32_t)i + 1};
  }
  return is_perfect;
}

static void *checked(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

martlet_dictionary *martlet_dictionary_make(const martlet_text *texts, size_t count) {
  size_t bytes = 1;
  for (size_t i = 0; i < count; i++) bytes += texts[i].count;
  martlet_dictionary *table = checked(malloc(sizeof *table));
  // The keys' bytes lie behind the list of keys.
  martlet_text *keys = checked(malloc(count * sizeof *keys + bytes));
  uint8_t(*heads)[HEAD] = checked(aligned_alloc(HEAD, (count + 1) * HEAD));
  memset(heads, 0, (count + 1) * HEAD);
  *table = (martlet_dictionary){.heads = heads, .keys = keys, .count = (int32_t)count};
  uint8_t *next = (uint8_t *)(keys + count);
  for (size_t i = 0; i < count; i++) {
    keys[i] = (martlet_text){next, texts[i].count};
    if (texts[i].count > 0) memcpy(next, texts[i].start, texts[i].count);
    next += texts[i].count;
    memcpy(heads[i], keys[i].start, keys[i].count < HEAD ? keys[i].count : HEAD);
  }
  // A few tries at each size, and more room where they fail; many keys will always share slots.
  size_t size = 8;
  while (size < 2 * count) size *= 2;
  const size_t most = count <= 256 ? 16 * size : size;
  for (;; size *= 2) {
    table->slots = checked(realloc(table->slots, size * sizeof *table->slots));
    table->mask = size - 1;
    for (uint64_t try = 0; try < 16; try++) {
      table->seed = try * FIRST;
      if (fill(table) || (size >= most && (try == 15 || count > 256))) return table;
    }
  }
}

void martlet_dictionary_free(martlet_dictionary *table) {
  free(table->slots);
  free(table->heads);
  free(table->keys);
  free(table);
}

void martlet_dictionary_codes(
    const martlet_dictionary *table, const void *texts, size_t step, size_t rows, int32_t *codes) {
  const martlet_text *first = texts;
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return codes_wide(table, first, step, rows, codes);
#endif
  size_t row = 0;
  for (; row + AHEAD < rows; row++) {
    __builtin_prefetch(first[(row + AHEAD) * step].start);
    codes[row] = find(table, first[row * step]);
  }
  for (; row < rows; row++) codes[row] = find(table, first[row * step]);
}
