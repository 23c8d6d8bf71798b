// The floor of a server: reads requests of a fixed size and answers each with as many bytes as asked, on one thread
// with epoll and no protocol. What a real server takes more than this is its own doing.
//
//   echo --request-bytes N --answer-bytes M [--port P]
//
// Prints "listening PORT" when it is ready and ends with SIGTERM.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAXIMUM_CONNECTIONS = 4096, READ_BYTES = 64 << 10, EVENTS = 256 };

typedef struct {
  size_t unread;  // bytes of a request that is not complete
  size_t unsent;  // bytes of answers that the socket did not take
} Connection;

static Connection connections[MAXIMUM_CONNECTIONS];
static char *answers;  // a block of answers, all the same
static size_t answers_bytes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static long number(const char *text, const char *option, long most) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || *end || end == text || value < 0 || value > most) {
    fprintf(stderr, "echo: --%s is \"%s\", expected 0 to %ld\n", option, text, most);
    exit(2);
  }
  return value;
}

static void watch(int epoll, int operation, int descriptor, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = descriptor};
  if (epoll_ctl(epoll, operation, descriptor, &event) < 0) fail("epoll_ctl");
}

// Sends as much as the socket takes; false when the peer is gone.
static int flush(int epoll, int descriptor, Connection *connection) {
  while (connection->unsent > 0) {
    // The block begins with a whole answer only by chance; the bytes are all alike, so that does not matter.
    size_t now = connection->unsent < answers_bytes ? connection->unsent : answers_bytes;
    ssize_t sent = send(descriptor, answers, now, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) return 0;
      watch(epoll, EPOLL_CTL_MOD, descriptor, EPOLLIN | EPOLLOUT);
      return 1;
    }
    connection->unsent -= (size_t)sent;
  }
  return 1;
}

int main(int count, char **arguments) {
  size_t request_bytes = 0, answer_bytes = 0;
  uint16_t port = 0;
  static const struct option options[] = {{"request-bytes", required_argument, 0, 'r'},
                                          {"answer-bytes", required_argument, 0, 'a'},
                                          {"port", required_argument, 0, 'p'},
                                          {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "", options, 0)) != -1;) {
    switch (option) {
    case 'r': request_bytes = (size_t)number(optarg, "request-bytes", 4 << 20); break;
    case 'a': answer_bytes = (size_t)number(optarg, "answer-bytes", 4 << 20); break;
    case 'p': port = (uint16_t)number(optarg, "port", 65535); break;
    default: return 2;
    }
  }
  if (request_bytes == 0 || answer_bytes == 0) {
    fprintf(stderr, "usage: echo --request-bytes N --answer-bytes M [--port P]\n");
    return 2;
  }
  answers_bytes = answer_bytes > READ_BYTES ? answer_bytes : READ_BYTES / answer_bytes * answer_bytes;
  answers = calloc(1, answers_bytes);
  char *buffer = malloc(READ_BYTES);
  if (!answers || !buffer) fail("memory");

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
  if (listen(listener, 1024) < 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
  struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    for (int index = 0; index < ready; index++) {
      int descriptor = events[index].data.fd;
      if (descriptor == listener) {
        int accepted;
        while ((accepted = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          if (accepted >= MAXIMUM_CONNECTIONS) {
            close(accepted);
            continue;
          }
          setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          connections[accepted] = (Connection){0};
          watch(epoll, EPOLL_CTL_ADD, accepted, EPOLLIN);
        }
        continue;
      }
      Connection *connection = &connections[descriptor];
      int alive = 1;
      if (events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t got = recv(descriptor, buffer, READ_BYTES, 0);
        if (got > 0) {
          connection->unread += (size_t)got;
          connection->unsent += connection->unread / request_bytes * answer_bytes;
          connection->unread %= request_bytes;
        } else {
          alive = got < 0 && errno == EAGAIN;
        }
      }
      if (alive && events[index].events & EPOLLOUT) watch(epoll, EPOLL_CTL_MOD, descriptor, EPOLLIN);
      if (alive && connection->unsent > 0) alive = flush(epoll, descriptor, connection);
      if (!alive) close(descriptor);
    }
  }
}
