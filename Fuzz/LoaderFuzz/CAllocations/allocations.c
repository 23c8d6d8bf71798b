#include "CAllocations.h"

extern int __sanitizer_install_malloc_and_free_hooks(
    void (*malloc_hook)(const volatile void *, size_t), void (*free_hook)(const volatile void *));
extern size_t __sanitizer_get_allocated_size(const volatile void *);

static long long live, base, peak;

static void allocated(const volatile void *memory, size_t bytes) {
  (void)memory;
  live += (long long)bytes;
  if (live > peak) peak = live;
}

static void freed(const volatile void *memory) {
  if (memory) live -= (long long)__sanitizer_get_allocated_size(memory);
}

int martlet_allocations_install(void) { return __sanitizer_install_malloc_and_free_hooks(allocated, freed); }

void martlet_allocations_begin(void) { base = peak = live; }

size_t martlet_allocations_peak(void) { return (size_t)(peak - base); }
