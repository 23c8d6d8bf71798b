// What the Glibc module does not export: readiness, event counters and socket calls of Linux.
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// accept4 with close-on-exec and non-blocking set; -1 and errno on failure.
int martlet_accept(int listener, struct sockaddr *address, socklen_t *length);

// Cores in the affinity mask of this process; 0 when it cannot be read.
int martlet_affinity_count(void);

#endif
