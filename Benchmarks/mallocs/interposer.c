// Counts heap allocations of a program that it is preloaded into, all threads together:
//
//   LD_PRELOAD=.../interposer.so MALLOC_COUNT_FILE=counts program
//
// appends "mallocs N frees M" to the file (standard error without one) at every SIGUSR1 and at exit. A call's
// allocations are the difference of two counts over the calls between them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static atomic_ulong mallocs, frees;
static int output = STDERR_FILENO;

static void count(void) { atomic_fetch_add_explicit(&mallocs, 1, memory_order_relaxed); }

void *malloc(size_t bytes) {
  count();
  return __libc_malloc(bytes);
}

void *calloc(size_t items, size_t bytes) {
  count();
  return __libc_calloc(items, bytes);
}

// Growing a block counts as an allocation, whether it moves or not.
void *realloc(void *block, size_t bytes) {
  count();
  return __libc_realloc(block, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
  if (alignment % sizeof(void *) || alignment & (alignment - 1) || alignment == 0) return EINVAL;
  count();
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}

void free(void *block) {
  if (block) atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
  __libc_free(block);
}

// Safe in a signal handler: writes digits by hand.
static char *append(char *position, const char *text, unsigned long value) {
  char digits[24];
  int length = 0;
  do digits[length++] = (char)('0' + value % 10);
  while (value /= 10);
  while (*text) *position++ = *text++;
  while (length) *position++ = digits[--length];
  return position;
}

static void report(int signal) {
  (void)signal;
  int error = errno;
  char line[80];
  char *end = append(line, "mallocs ", atomic_load(&mallocs));
  end = append(end, " frees ", atomic_load(&frees));
  *end++ = '\n';
  if (write(output, line, (size_t)(end - line)) < 0) output = STDERR_FILENO;
  errno = error;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("MALLOC_COUNT_FILE");
  if (path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) output = file;
  }
  struct sigaction action = {.sa_handler = report, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, 0);
}

__attribute__((destructor)) static void end(void) { report(0); }
