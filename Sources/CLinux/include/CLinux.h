// What the Glibc module does not export: readiness, event counters and socket calls of Linux.
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// accept4 with close-on-exec and non-blocking set; -1 and errno on failure.
int martlet_accept(int listener, struct sockaddr *address, socklen_t *length);

// recv, and send without SIGPIPE, of a non-blocking socket; -1 and errno on failure. The C library's own are points where
// a thread may be cancelled, which no thread of ours is, and pay for that with two atomic operations a call.
ssize_t martlet_receive(int socket, void *bytes, size_t count);
ssize_t martlet_send(int socket, const void *bytes, size_t count);

// Cores in this thread's affinity mask; 0 when the kernel does not tell.
int martlet_affinity_count(void);

// Names the calling thread in /proc and debuggers; the kernel keeps 15 bytes.
void martlet_name_thread(const char *name);

#endif
