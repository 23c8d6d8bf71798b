// Stands in for libdispatch's `dispatch_main`, by preloading, when a server runs under callgrind: the real one ends the
// main thread, which callgrind does not survive. This one serves the main queue in a loop, as CoreFoundation does.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

// Of libdispatch, for run loops.
int _dispatch_get_main_queue_handle_4CF(void);
void _dispatch_main_queue_callback_4CF(void *);

__attribute__((noreturn)) void dispatch_main(void) {
  // Signals are for the sources that wait for them.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, 0);
  struct pollfd handle = {.fd = _dispatch_get_main_queue_handle_4CF(), .events = POLLIN};
  for (;;) {
    uint64_t count;
    if (poll(&handle, 1, -1) > 0 && read(handle.fd, &count, sizeof count) > 0) _dispatch_main_queue_callback_4CF(0);
  }
}
