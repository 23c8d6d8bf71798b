#define _GNU_SOURCE
#include "CLinux.h"

int martlet_accept(int listener, struct sockaddr *address, socklen_t *length) {
  return accept4(listener, address, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
