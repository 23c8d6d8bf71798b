#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int martlet_accept(int listener, struct sockaddr *address, socklen_t *length) {
  return accept4(listener, address, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int martlet_affinity_count(void) {
  // The kernel refuses a mask smaller than its own, so grow it.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t *set = CPU_ALLOC(cpus);
    if (set == NULL) return 0;
    size_t size = CPU_ALLOC_SIZE(cpus);
    int failed = sched_getaffinity(0, size, set);
    int count = failed ? 0 : CPU_COUNT_S(size, set);
    int reason = errno;
    CPU_FREE(set);
    if (!failed) return count;
    if (reason != EINVAL) return 0;
  }
  return 0;
}

void martlet_trim_memory(void) { malloc_trim(0); }

void martlet_bound_free_memory(int arenas) {
  // Blocks from here on have pages of their own, which go when they are freed, so that small objects which stay lie close
  // together. Those that calls take again and again are kept by their owners.
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
  // malloc_trim does not reach the free end of an arena: 32 KiB stay when it has 64 more.
  mallopt(M_TRIM_THRESHOLD, 64 << 10);
  mallopt(M_TOP_PAD, 32 << 10);
  mallopt(M_ARENA_MAX, arenas);
}

void martlet_name_thread(const char *name) {
  char shortened[16];
  strncpy(shortened, name, sizeof shortened - 1);
  shortened[sizeof shortened - 1] = 0;
  pthread_setname_np(pthread_self(), shortened);
}

ssize_t martlet_receive(int socket, void *bytes, size_t count) {
  return syscall(SYS_recvfrom, socket, bytes, count, 0, 0, 0);
}

ssize_t martlet_send(int socket, const void *bytes, size_t count) {
  return syscall(SYS_sendto, socket, bytes, count, MSG_NOSIGNAL, 0, 0);
}

ssize_t martlet_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int number) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * MARTLET_DESCRIPTORS)];
  } control;
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (number < 0 || number > MARTLET_DESCRIPTORS) {
    errno = EMSGSIZE;
    return -1;
  }
  if (number > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * number);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * number);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * number);
  }
  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t martlet_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *number) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * MARTLET_DESCRIPTORS)];
  } control;
  struct iovec part = {bytes, count};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  int room = *number;
  *number = 0;
  ssize_t received;
  do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  if (received < 0) return -1;
  int fits = !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (int i = 0; i < came; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      if (*number < room) {
        descriptors[(*number)++] = descriptor;
      } else {
        close(descriptor);
        fits = 0;
      }
    }
  }
  if (fits) return received;
  while (*number > 0) close(descriptors[--*number]);
  errno = EMSGSIZE;
  return -1;
}

int martlet_peer(int socket, pid_t *process, uid_t *user) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
  *process = peer.pid;
  *user = peer.uid;
  return 0;
}

int martlet_spawn(char *const arguments[], pid_t *process) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  // Libraries open descriptors that an exec does not close.
  error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (!error) error = posix_spawnp(process, arguments[0], &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}
