#pragma once
#include <stddef.h>

/* Counts the bytes that are allocated, through the hooks of the sanitizer's allocator. One thread at a time. */

/* Installs the hooks; call it once. Returns 0 when the allocator has none. */
int martlet_allocations_install(void);

/* Bytes allocated now become the base line of the peak. */
void martlet_allocations_begin(void);

/* The most bytes above the base line since `begin`. */
size_t martlet_allocations_peak(void);
