// Texts to the numbers of their categories: one lookup by the bytes for each value.
//
// A table is filled at load and only read from then on. What is looked up are a text's length and words of eight bytes,
// as many as the longest key needs: up to 32 bytes, one, two or four words are all of a text, which may lie on top of
// each other, so that texts of any lengths pass without a branch that depends on them. Where all keys have the same
// length of up to four bytes, as codes of countries or airports, eight texts of a message are looked up at once.

#include "CKernels.h"
#include "levels.h"
#include "targets.h"

#include <stdlib.h>
#include <string.h>

// The first bytes of each key lie one behind the other, padded with zeros; longer keys are compared behind them as well.
#define HEAD 64
// How many texts ahead of the one that is looked up their bytes are asked for.
#define AHEAD 16

// How keys are told from each other.
enum kind {
  // None is longer than eight bytes, and its word is all of it.
  WORD,
  // None is longer than 16 bytes, and its two words are all of it.
  PAIR,
  // None is longer than 32 bytes, and its four words are all of it.
  QUAD,
  // No two have the same length, last word and word at some place.
  LONG,
  // By the hash of all bytes.
  BYTES,
};

struct slot {
  uint64_t word;
  // The bytes of the key and its number, one more than it; 0 where a slot is free.
  uint32_t count, next;
};

struct martlet_dictionary {
  struct slot *slots;
  // The other words of each slot's key; null where there are none.
  struct rest {
    uint64_t last, second, third;
  } *rests;
  size_t mask;
  int shift;
  enum kind kind;
  // Where the first word of a long key begins, or the last one where that begins before.
  uint32_t place;
  // Chosen so that no two keys share a slot, where that can be had.
  uint64_t seed;
  uint8_t (*heads)[HEAD];
  martlet_text *keys;
  int32_t count;
  // Of keys of the same length of one to four bytes: that length, and a table without collisions, of entries of the
  // key's bytes and, above them, its number in 32 bits. Null where there is none.
  uint64_t *entries;
  uint32_t length, entry_seed;
  int entry_shift;
};

#define FIRST 0x9e3779b97f4a7c15u
#define SECOND 0xc2b2ae3d27d4eb4fu
#define THIRD 0xa0761d6478bd642fu
#define FOURTH 0xe7037ed1a0b428dbu

static uint64_t hash_bytes(const uint8_t *start, size_t count, uint64_t seed) {
  uint64_t hash = seed ^ count * SECOND, word;
  for (; count > 0; start += 8, count -= count < 8 ? count : 8) {
    word = 0;
    memcpy(&word, start, count < 8 ? count : 8);
    hash = (hash ^ word) * FIRST;
    hash ^= hash >> 31;
  }
  return (hash ^ hash >> 32) * FIRST;
}

struct words {
  uint64_t first;
  struct rest rest;
};

INLINED uint64_t loaded(const uint8_t *start) {
  uint64_t word;
  memcpy(&word, start, 8);
  return word;
}

// The words of a text at which eight bytes at least can be read.
INLINED struct words words_at(const uint8_t *start, size_t count, size_t place, enum kind kind) {
  const uint64_t mask = count >= 8 ? ~(uint64_t)0 : ((uint64_t)1 << 8 * count) - 1;
  if (kind == WORD) return (struct words){loaded(start) & mask, {0}};
  const size_t last = count >= 8 ? count - 8 : 0;
  const size_t first = kind != LONG ? 0 : place < last ? place : last;
  struct words words = {loaded(start + first) & mask, {loaded(start + last) & mask, 0, 0}};
  if (kind == QUAD) {
    words.rest.second = loaded(start + (last < 8 ? last : 8)) & mask;
    words.rest.third = loaded(start + (last < 8 ? 0 : last - 8)) & mask;
  }
  return words;
}

// The words of any text.
INLINED struct words words_within(const uint8_t *start, size_t count, size_t place, enum kind kind) {
  if (count >= 8) return words_at(start, count, place, kind);
  uint64_t word = 0;
  if (count >= 4) {
    uint32_t low, high;
    memcpy(&low, start, 4);
    memcpy(&high, start + count - 4, 4);
    word = low | (uint64_t)high << 8 * (count - 4);
  } else if (count > 0) {
    word = start[0] | (uint64_t)start[count / 2] << 8 * (count / 2) | (uint64_t)start[count - 1] << 8 * (count - 1);
  }
  struct words words = {word, {0}};
  if (kind != WORD) words.rest.last = word;
  if (kind == QUAD) words.rest.second = words.rest.third = word;
  return words;
}

INLINED size_t slot_of(const martlet_dictionary *table, struct words words, enum kind kind) {
  uint64_t sum = words.first;
  if (kind != WORD) sum += words.rest.last * SECOND;
  if (kind == QUAD) sum += words.rest.second * THIRD + words.rest.third * FOURTH;
  return sum * table->seed >> table->shift;
}

// Whether texts of the same length and words, of more than 16 bytes or with a first word that is not at the start, are
// the same.
static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t count) {
  uint64_t other = 0;
  for (size_t i = 0; i + 8 < count; i += 8) other |= loaded(a + i) ^ loaded(b + i);
  return other == 0;
}

// Whether the text is the key `number`, whose length and words it has.
#define DEFINE_SAME(NAME, ATTRIBUTES)                                                                                  \
  ATTRIBUTES static inline __attribute__((always_inline)) bool NAME(                                                   \
      const martlet_dictionary *table, uint32_t number, const uint8_t *start, size_t count)

DEFINE_SAME(same_base, ) { return count <= 8 || same_bytes(table->keys[number].start, start, count); }

#if defined(__x86_64__)
#define same_avx2 same_base

DEFINE_SAME(same_avx512, TARGET_AVX512) {
  const __m512i head = _mm512_maskz_loadu_epi8(count >= HEAD ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1, start);
  return _mm512_cmpneq_epi8_mask(head, _mm512_load_si512(table->heads[number])) == 0
         && (count <= HEAD || memcmp(table->keys[number].start + HEAD, start + HEAD, count - HEAD) == 0);
}
#endif

static uint32_t find_bytes(const martlet_dictionary *table, const uint8_t *start, size_t count) {
  for (size_t at = hash_bytes(start, count, table->seed) >> table->shift;; at = (at + 1) & table->mask) {
    const struct slot *slot = table->slots + at;
    if (slot->next == 0) return (uint32_t)table->count;
    if (slot->count == count && (count == 0 || memcmp(table->keys[slot->next - 1].start, start, count) == 0))
      return slot->next - 1;
  }
}

static bool is_ascii(const uint8_t *start, size_t count) {
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) bits |= loaded(start + i);
  for (; i < count; i++) bits |= start[i];
  return (bits & 0x8080808080808080u) == 0;
}

// Where the text at `bytes + at` begins and how many bytes it has; false when its head is cut off, or none that is read
// here.
INLINED bool head_at(
    const uint8_t *bytes, size_t size, size_t at, martlet_text_form form, size_t *start, size_t *count) {
  if (form == MARTLET_TEXTS_COUNTED) {
    if (size - at < 4) return false;
    uint32_t length;
    memcpy(&length, bytes + at, 4);
    *count = length;
    *start = at + 4;
  } else {
    // A text of 128 bytes or more is left to whoever reads all kinds of varints.
    if (size - at < 2 || bytes[at] != (uint8_t)form || bytes[at + 1] > 127) return false;
    *count = bytes[at + 1];
    *start = at + 2;
  }
  return *count <= size - *start;
}

#define READ_COUNTED(SUFFIX, KIND)                                                                                     \
  read_##SUFFIX(tables, 1, 0, MARTLET_TEXTS_COUNTED, bytes, size, position, count, codes, step, KIND)

// Everything that looks up, compiled for one level of processor.
#define DEFINE(SUFFIX, ATTRIBUTES)                                                                                     \
  ATTRIBUTES static inline __attribute__((always_inline)) uint32_t find_words_##SUFFIX(                                \
      const martlet_dictionary *table, const uint8_t *start, size_t count, struct words words, enum kind kind) {       \
    for (size_t at = slot_of(table, words, kind);; at = (at + 1) & table->mask) {                                      \
      const struct slot slot = table->slots[at];                                                                       \
      if (slot.next == 0) return (uint32_t)table->count;                                                               \
      uint64_t other = (slot.word ^ words.first) | (slot.count ^ count);                                               \
      if (kind != WORD) other |= table->rests[at].last ^ words.rest.last;                                              \
      if (kind == QUAD)                                                                                                \
        other |= (table->rests[at].second ^ words.rest.second) | (table->rests[at].third ^ words.rest.third);          \
      if (other == 0 && (kind != LONG || same_##SUFFIX(table, slot.next - 1, start, count))) return slot.next - 1;     \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static inline __attribute__((always_inline)) uint32_t find_##SUFFIX(                                      \
      const martlet_dictionary *table, const uint8_t *start, size_t count, bool is_within, enum kind kind) {           \
    if (kind == BYTES) return find_bytes(table, start, count);                                                         \
    const struct words words =                                                                                         \
        is_within ? words_within(start, count, table->place, kind) : words_at(start, count, table->place, kind);       \
    return find_words_##SUFFIX(table, start, count, words, kind);                                                      \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static inline __attribute__((always_inline)) uint32_t find_any_##SUFFIX(                                  \
      const martlet_dictionary *table, const uint8_t *start, size_t count, bool is_within) {                           \
    switch (table->kind) {                                                                                             \
    case WORD: return find_##SUFFIX(table, start, count, is_within, WORD);                                             \
    case PAIR: return find_##SUFFIX(table, start, count, is_within, PAIR);                                             \
    case QUAD: return find_##SUFFIX(table, start, count, is_within, QUAD);                                             \
    case LONG: return find_##SUFFIX(table, start, count, is_within, LONG);                                             \
    default: return find_bytes(table, start, count);                                                                   \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static inline __attribute__((always_inline)) size_t read_##SUFFIX(                                        \
      const martlet_dictionary *const *tables, size_t width, size_t element, martlet_text_form form,                   \
      const uint8_t *bytes, size_t size, size_t *position, size_t count, uint16_t *codes, size_t step, int kind) {     \
    size_t at = *position, done = 0;                                                                                   \
    const martlet_dictionary first = *tables[element], *table = &first;                                                \
    for (; done < count; done++) {                                                                                     \
      size_t start, length;                                                                                            \
      if (!head_at(bytes, size, at, form, &start, &length)) break;                                                     \
      const bool is_within = size - start < 8;                                                                         \
      const uint32_t code = kind < 0 ? find_any_##SUFFIX(table, bytes + start, length, is_within)                      \
                                     : find_##SUFFIX(table, bytes + start, length, is_within, (enum kind)kind);        \
      if (__builtin_expect(code == (uint32_t)table->count, 0) && !is_ascii(bytes + start, length)) break;              \
      codes[done * step] = (uint16_t)code;                                                                             \
      at = start + length;                                                                                             \
      if (kind < 0) {                                                                                                  \
        element = element + 1 == width ? 0 : element + 1;                                                              \
        table = tables[element];                                                                                       \
      }                                                                                                                \
    }                                                                                                                  \
    *position = at;                                                                                                    \
    return done;                                                                                                       \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static size_t read_all_##SUFFIX(                                                                          \
      const martlet_dictionary *const *tables, size_t width, size_t element, martlet_text_form form,                   \
      const uint8_t *bytes, size_t size, size_t *position, size_t count, uint16_t *codes, size_t step) {               \
    if (width > 1 || form != MARTLET_TEXTS_COUNTED)                                                                    \
      return read_##SUFFIX(tables, width, element, form, bytes, size, position, count, codes, step, -1);               \
    switch (tables[0]->kind) {                                                                                         \
    case WORD: return READ_COUNTED(SUFFIX, WORD);                                                                      \
    case PAIR: return READ_COUNTED(SUFFIX, PAIR);                                                                      \
    case QUAD: return READ_COUNTED(SUFFIX, QUAD);                                                                      \
    case LONG: return READ_COUNTED(SUFFIX, LONG);                                                                      \
    default: return READ_COUNTED(SUFFIX, BYTES);                                                                       \
    }                                                                                                                  \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static size_t find_one_##SUFFIX(const martlet_dictionary *table, martlet_text text) {                     \
    return find_any_##SUFFIX(table, text.start, text.count, true);                                                     \
  }                                                                                                                    \
                                                                                                                       \
  ATTRIBUTES static void codes_##SUFFIX(                                                                               \
      const martlet_dictionary *table, const martlet_text *texts, size_t step, size_t rows, int32_t *codes) {          \
    /* Texts are read once, so what comes is fetched ahead. */                                                         \
    for (size_t row = 0; row < rows; row++) {                                                                          \
      if (row + AHEAD < rows) __builtin_prefetch(texts[(row + AHEAD) * step].start);                                   \
      const martlet_text text = texts[row * step];                                                                     \
      codes[row] = (int32_t)find_any_##SUFFIX(table, text.start, text.count, true);                                    \
    }                                                                                                                  \
  }

DEFINE(base, )
#if defined(__x86_64__)
DEFINE(avx2, TARGET_AVX2)
DEFINE(avx512, TARGET_AVX512)
#endif

#if defined(__x86_64__)
// Reads texts eight at a time while they are keys; returns how many.
TARGET_AVX512_BYTES static size_t read_eights(
    const martlet_dictionary *table, const uint8_t *bytes, size_t size, size_t *position, size_t count,
    uint16_t *codes) {
  const size_t each = 4 + table->length;
  uint8_t places[64];
  for (size_t i = 0; i < 64; i++) places[i] = (uint8_t)(i / 8 * each + i % 8);
  const __m512i gathering = _mm512_loadu_si512(places);
  // A lane is a length and a text, and behind it may be something of the next one.
  const __m512i own = _mm512_set1_epi64((int64_t)(~(uint64_t)0 >> (64 - 8 * each)));
  const __m512i length = _mm512_set1_epi64(table->length), low = _mm512_set1_epi64(0xffffffff);
  const __m512i seed = _mm512_set1_epi64(table->entry_seed);
  const __m128i shift = _mm_cvtsi32_si128(table->entry_shift);
  size_t at = *position, done = 0;
  for (; done + 8 <= count && size - at >= 64; done += 8, at += 8 * each) {
    const __m512i lanes = _mm512_and_si512(_mm512_permutexvar_epi8(gathering, _mm512_loadu_si512(bytes + at)), own);
    const __m512i texts = _mm512_srli_epi64(lanes, 32);
    const __m512i hash = _mm512_and_si512(_mm512_mul_epu32(texts, seed), low);
    const __m512i entries = _mm512_i64gather_epi64(_mm512_srl_epi64(hash, shift), table->entries, 8);
    const __mmask8 others = _mm512_cmpneq_epi64_mask(_mm512_and_si512(entries, low), texts)
                            | _mm512_cmpneq_epi64_mask(_mm512_and_si512(lanes, low), length);
    if (others != 0) break;
    _mm_storeu_si128((__m128i *)(codes + done), _mm512_cvtepi64_epi16(_mm512_srli_epi64(entries, 32)));
  }
  *position = at;
  return done;
}
#endif

// Tables

static size_t slot_of_key(const martlet_dictionary *table, martlet_text key) {
  if (table->kind == BYTES) return hash_bytes(key.start, key.count, table->seed) >> table->shift;
  return slot_of(table, words_within(key.start, key.count, table->place, table->kind), table->kind);
}

// Fills slots and returns whether every key has the first one that it asks for.
static bool fill(martlet_dictionary *table) {
  bool is_perfect = true;
  memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
  if (table->rests != NULL) memset(table->rests, 0, (table->mask + 1) * sizeof *table->rests);
  for (int32_t i = 0; i < table->count; i++) {
    const martlet_text key = table->keys[i];
    size_t at = slot_of_key(table, key);
    for (; table->slots[at].next != 0; at = (at + 1) & table->mask) is_perfect = false;
    const struct words words = words_within(key.start, key.count, table->place, table->kind);
    table->slots[at] = (struct slot){words.first, (uint32_t)key.count, (uint32_t)i + 1};
    if (table->rests != NULL) table->rests[at] = words.rest;
  }
  return is_perfect;
}

static void *checked(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

struct told {
  uint64_t first, last;
  size_t count;
};

static int order_of_told(const void *a, const void *b) { return memcmp(a, b, sizeof(struct told)); }

// Whether lengths and words with the first one at `place` tell all keys apart; `room` is for one of each.
static bool tells_apart(const martlet_dictionary *table, size_t place, struct told *room) {
  for (int32_t i = 0; i < table->count; i++) {
    const martlet_text key = table->keys[i];
    const struct words words = words_within(key.start, key.count, place, LONG);
    room[i] = (struct told){words.first, words.rest.last, key.count};
  }
  qsort(room, (size_t)table->count, sizeof *room, order_of_told);
  for (int32_t i = 1; i < table->count; i++) {
    if (order_of_told(room + i - 1, room + i) == 0) return false;
  }
  return true;
}

static void choose_kind(martlet_dictionary *table, size_t longest) {
  table->kind = longest <= 8 ? WORD : longest <= 16 ? PAIR : longest <= 32 ? QUAD : BYTES;
  if (table->kind != BYTES) return;
  struct told *room = checked(malloc(((size_t)table->count + 1) * sizeof *room));
  const size_t places = longest < 2 * HEAD ? longest - 7 : 2 * HEAD;
  for (size_t place = 0; place < places && table->kind == BYTES; place += 8) {
    table->place = (uint32_t)place;
    if (tells_apart(table, place, room)) table->kind = LONG;
  }
  free(room);
}

// Makes the table of entries, where keys are of one short length and few.
static void make_entries(martlet_dictionary *table) {
  if (table->count == 0 || table->count > 4096) return;
  const size_t length = table->keys[0].count;
  if (length == 0 || length > 4) return;
  for (int32_t i = 1; i < table->count; i++) {
    if (table->keys[i].count != length) return;
  }
  size_t size = 16;
  while (size < 2 * (size_t)table->count) size *= 2;
  for (const size_t most = 8 * size; size <= most; size *= 2) {
    uint64_t *entries = checked(malloc(size * sizeof *entries));
    const int shift = 32 - __builtin_ctzll(size);
    for (uint32_t try = 0; try < 16; try++) {
      const uint32_t seed = (uint32_t)(FIRST >> 32) * (2 * try + 1) | 1;
      // A free entry is the text of no key that is looked for there: its number tells.
      memset(entries, 0xff, size * sizeof *entries);
      int32_t i = 0;
      for (; i < table->count; i++) {
        const uint32_t text = (uint32_t)words_within(table->keys[i].start, length, 0, WORD).first;
        uint64_t *entry = entries + (text * seed >> shift);
        if (*entry >> 32 != 0xffffffff) break;
        *entry = text | (uint64_t)i << 32;
      }
      if (i < table->count) continue;
      // What a free entry holds must not be a text that leads there.
      for (size_t place = 0; place < size; place++) {
        if (entries[place] >> 32 != 0xffffffff) continue;
        uint32_t text = 0;
        while (text * seed >> shift == place) text++;
        entries[place] = text;
      }
      table->entries = entries;
      table->length = (uint32_t)length;
      table->entry_seed = seed;
      table->entry_shift = shift;
      return;
    }
    free(entries);
  }
}

martlet_dictionary *martlet_dictionary_make(const martlet_text *texts, size_t count) {
  size_t bytes = 1, longest = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += texts[i].count;
    if (texts[i].count > longest) longest = texts[i].count;
  }
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
  choose_kind(table, longest);
  make_entries(table);
  // A few tries at each size, and more room where they fail; many keys will always share slots.
  size_t size = 8;
  while (size < 2 * count) size *= 2;
  const size_t most = count <= 256 ? 8 * size : size;
  for (;; size *= 2) {
    table->slots = checked(realloc(table->slots, size * sizeof *table->slots));
    if (table->kind != WORD && table->kind != BYTES)
      table->rests = checked(realloc(table->rests, size * sizeof *table->rests));
    table->mask = size - 1;
    table->shift = __builtin_clzll(size) + 1;
    for (uint64_t try = 0; try < 16; try++) {
      table->seed = FIRST * (2 * try + 1);
      if (fill(table) || (size >= most && (try == 15 || count > 256))) return table;
    }
  }
}

void martlet_dictionary_free(martlet_dictionary *table) {
  free(table->slots);
  free(table->rests);
  free(table->entries);
  free(table->heads);
  free(table->keys);
  free(table);
}

size_t martlet_dictionary_count(const martlet_dictionary *table) { return (size_t)table->count; }

martlet_text martlet_dictionary_key(const martlet_dictionary *table, size_t number) { return table->keys[number]; }

// Lookups

void martlet_dictionary_codes(
    const martlet_dictionary *table, const void *texts, size_t step, size_t rows, int32_t *codes) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return codes_avx512(table, texts, step, rows, codes);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return codes_avx2(table, texts, step, rows, codes);
#endif
  codes_base(table, texts, step, rows, codes);
}

size_t martlet_dictionary_find(const martlet_dictionary *table, martlet_text text) {
#if defined(__x86_64__)
  if (martlet_level() == MARTLET_LEVEL_AVX512) return find_one_avx512(table, text);
  if (martlet_level() == MARTLET_LEVEL_AVX2) return find_one_avx2(table, text);
#endif
  return find_one_base(table, text);
}

#if defined(__x86_64__)
// Eights, and between them one by one what stops them.
static size_t read_in_eights(
    const martlet_dictionary *table, const uint8_t *bytes, size_t size, size_t *position, size_t count,
    uint16_t *codes) {
  size_t done = 0;
  while (true) {
    done += read_eights(table, bytes, size, position, count - done, codes + done);
    const size_t next = count - done < 8 ? count - done : 8;
    const size_t more = read_all_avx512(
        &table, 1, 0, MARTLET_TEXTS_COUNTED, bytes, size, position, next, codes + done, 1);
    done += more;
    if (more < next || done == count) return done;
  }
}
#endif

size_t martlet_dictionary_read(
    const martlet_dictionary *const *tables, size_t width, size_t element, martlet_text_form form, const uint8_t *bytes,
    size_t size, size_t *position, size_t count, uint16_t *codes, size_t step) {
#if defined(__x86_64__)
  if (width == 1 && step == 1 && form == MARTLET_TEXTS_COUNTED && count >= 8 && tables[0]->entries != NULL
      && martlet_cpu_level() >= MARTLET_CPU_AVX512_BYTES)
    return read_in_eights(tables[0], bytes, size, position, count, codes);
  if (martlet_level() == MARTLET_LEVEL_AVX512)
    return read_all_avx512(tables, width, element, form, bytes, size, position, count, codes, step);
  if (martlet_level() == MARTLET_LEVEL_AVX2)
    return read_all_avx2(tables, width, element, form, bytes, size, position, count, codes, step);
#endif
  return read_all_base(tables, width, element, form, bytes, size, position, count, codes, step);
}
