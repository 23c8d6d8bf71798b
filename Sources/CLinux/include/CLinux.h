// What the Glibc module does not export: readiness, event counters and socket calls of Linux.
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// accept4 with close-on-exec and non-blocking set; -1 and errno on failure.
int martlet_accept(int listener, struct sockaddr *address, socklen_t *length);

// Cores in this thread's affinity mask; 0 when the kernel does not tell.
int martlet_affinity_count(void);

// Names the calling thread in /proc and debuggers; the kernel keeps 15 bytes.
void martlet_name_thread(const char *name);

#endif
