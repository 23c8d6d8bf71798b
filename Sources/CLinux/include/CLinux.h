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

// Gives what malloc holds free back to the system, as far as it is whole pages and not the end of a thread's arena.
void martlet_trim_memory(void);

// Bounds how many arenas malloc makes, the main one included, and the free end of each, which it otherwise lets grow to
// twice what was once freed, 64 MiB at most; and lets large blocks go to the system as soon as they are freed.
void martlet_bound_free_memory(int arenas);

// Names the calling thread in /proc and debuggers; the kernel keeps 15 bytes.
void martlet_name_thread(const char *name);

// Sends `count` bytes, at least one, as one message, and copies of at most MARTLET_DESCRIPTORS descriptors with it;
// -1 and errno on failure, SIGPIPE never comes.
ssize_t martlet_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int number);

// Receives one message without waiting and the descriptors that came with it, close-on-exec; 0 at the end of the
// stream. `number` says how many there is room for, and then how many came. A message that is longer than `count` or
// brings more descriptors fails with EMSGSIZE, and none of them stays open.
ssize_t martlet_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *number);

enum { MARTLET_DESCRIPTORS = 64 };

// Process and user at the other end of a connected Unix-domain socket, as of its connect or listen; -1 on failure.
int martlet_peer(int socket, pid_t *process, uid_t *user);

// Starts a program, found as a shell would, with this process's environment, its standard descriptors and no other,
// and the usual actions of all signals. 0, or an errno.
int martlet_spawn(char *const arguments[], pid_t *process);

#endif
