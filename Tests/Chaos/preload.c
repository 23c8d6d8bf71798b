// Preloaded into a server under test, to read its memory and to set its calendar clock.
//
//   LD_PRELOAD=.../preload.so CHAOS_CONTROL=file martlet serve …
//
// The file holds two 64-bit integers. The first is added, in seconds, to every reading of CLOCK_REALTIME, gettimeofday
// and time: a clock that jumps. The second counts: at every SIGUSR1 a thread of this library gives malloc's free memory
// back to the system and adds one, so that resident memory read after that is what the server holds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  _Atomic long jump;
  _Atomic long trims;
} Control;

static Control nothing;
static Control *control = &nothing;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static sem_t wanted;

static void ask(int number) {
  (void)number;
  sem_post(&wanted);
}

static void *trim(void *unused) {
  (void)unused;
  for (;;) {
    if (sem_wait(&wanted) != 0) continue;
    malloc_trim(0);
    atomic_fetch_add(&control->trims, 1);
  }
  return NULL;
}

__attribute__((constructor)) static void start(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("CHAOS_CONTROL");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) return;
  control = mapped;
  sem_init(&wanted, 0, 0);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  pthread_create(&thread, NULL, trim, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (!real_clock_gettime) real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += atomic_load_explicit(&control->jump, memory_order_relaxed);
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  time->tv_sec = precise.tv_sec;
  time->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  if (result) *result = precise.tv_sec;
  return precise.tv_sec;
}
