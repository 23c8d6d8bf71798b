// A closed-loop client on one thread with epoll: so many connections, so many calls in flight on each, the next call
// leaves when one is answered. Prints one line of JSON.
//
//   client --port P --frames FILE [--answer-bytes M] [--connections C] [--in-flight K]
//          [--seconds S | --calls N] [--warmup S]
//
// FILE holds ttrpc frames, one behind the other, which take turns. With --answer-bytes the peer is `echo`, whose answers
// have that size and come in order; without it the peer speaks ttrpc, and an answer that carries a status counts as an
// error.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, WINDOW = 1 << 16, EVENTS = 256, HEADER = 10, MAXIMUM_FRAME = 4 << 20 };

typedef struct {
  const uint8_t *bytes;
  size_t count;
} Frame;

typedef struct {
  int descriptor;
  uint32_t next_stream, oldest;  // oldest: of the calls in flight, where answers come in order
  long in_flight;
  uint64_t *sent;  // by call number modulo WINDOW
  uint8_t *out;
  size_t out_start, out_count, out_capacity;
  uint8_t *in;
  size_t in_count;
} Connection;

// Latencies in nanoseconds, to one part in 256.
enum { SUB = 256, BUCKETS = 48 * SUB };
static uint64_t histogram[BUCKETS], recorded, errors;
static double sum;

static Frame *frames;
static size_t frame_count, next_frame;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static size_t bucket(uint64_t value) {
  if (value < 2 * SUB) return (size_t)value;
  int shift = 63 - __builtin_clzll(value) - 8;
  size_t index = (size_t)shift * SUB + (size_t)(value >> shift);
  return index < BUCKETS ? index : BUCKETS - 1;
}

static double bucket_value(size_t index) {
  if (index < 2 * SUB) return (double)index;
  size_t shift = index / SUB - 1;
  return (double)((SUB + index % SUB) << shift) + (double)(1ull << shift) / 2;
}

static double percentile(double rank) {
  uint64_t target = (uint64_t)ceil(rank / 100 * (double)recorded), seen = 0;
  for (size_t index = 0; index < BUCKETS; index++) {
    seen += histogram[index];
    if (seen >= target && seen > 0) return bucket_value(index);
  }
  return 0;
}

static void read_frames(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(path);
  off_t size = lseek(file, 0, SEEK_END);
  uint8_t *bytes = malloc((size_t)size + 1);
  if (size <= 0 || !bytes || pread(file, bytes, (size_t)size, 0) != size) fail(path);
  close(file);
  for (size_t position = 0; position < (size_t)size;) {
    size_t left = (size_t)size - position;
    uint32_t data = 0;
    if (left >= HEADER) memcpy(&data, bytes + position, 4);
    data = ntohl(data);
    if (left < HEADER || data > left - HEADER) {
      fprintf(stderr, "client: %s: the frame at byte %zu is cut off\n", path, position);
      exit(2);
    }
    frames = realloc(frames, (frame_count + 1) * sizeof *frames);
    if (!frames) fail("memory");
    frames[frame_count++] = (Frame){bytes + position, HEADER + data};
    position += HEADER + data;
  }
}

static void queue_call(Connection *connection, uint64_t time) {
  const Frame *frame = &frames[next_frame];
  next_frame = next_frame + 1 == frame_count ? 0 : next_frame + 1;
  if (connection->out_start + connection->out_count + frame->count > connection->out_capacity) {
    memmove(connection->out, connection->out + connection->out_start, connection->out_count);
    connection->out_start = 0;
  }
  uint8_t *target = connection->out + connection->out_start + connection->out_count;
  memcpy(target, frame->bytes, frame->count);
  uint32_t stream = connection->next_stream;
  connection->next_stream += 2;
  connection->sent[(stream >> 1) % WINDOW] = time;
  uint32_t order = htonl(stream);
  memcpy(target + 4, &order, 4);
  connection->out_count += frame->count;
  connection->in_flight++;
}

static void flush(int epoll, Connection *connection, int index) {
  ssize_t sent = send(connection->descriptor, connection->out + connection->out_start, connection->out_count, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) fail("send");
  if (sent > 0) {
    connection->out_start += (size_t)sent;
    connection->out_count -= (size_t)sent;
  }
  if (connection->out_count == 0) connection->out_start = 0;
  struct epoll_event event = {.events = EPOLLIN | (connection->out_count ? EPOLLOUT : 0), .data.u32 = (uint32_t)index};
  static uint32_t *watched;
  if (!watched) watched = calloc(1 << 16, sizeof *watched);
  if (watched[index] != event.events) {
    int operation = watched[index] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(epoll, operation, connection->descriptor, &event) < 0) fail("epoll_ctl");
    watched[index] = event.events;
  }
}

static void record(uint64_t latency) {
  histogram[bucket(latency)]++;
  recorded++;
  sum += (double)latency;
}

// Takes the answers out of what has come; returns how many.
static long take_answers(Connection *connection, size_t answer_bytes, uint64_t time, int counts) {
  size_t position = 0;
  long taken = 0;
  for (;;) {
    size_t left = connection->in_count - position;
    uint32_t stream;
    size_t whole;
    if (answer_bytes) {
      if (left < answer_bytes) break;
      whole = answer_bytes;
      stream = connection->oldest;
      connection->oldest += 2;
    } else {
      if (left < HEADER) break;
      const uint8_t *frame = connection->in + position;
      uint32_t data;
      memcpy(&data, frame, 4);
      memcpy(&stream, frame + 4, 4);
      data = ntohl(data);
      stream = ntohl(stream);
      if (data > MAXIMUM_FRAME || frame[8] != 2 || !(stream & 1) || stream >= connection->next_stream) {
        fprintf(stderr, "client: what came is no ttrpc response\n");
        exit(1);
      }
      whole = HEADER + data;
      if (left < whole) break;
      // Field 1 is the status, which a good answer leaves out; field 2 the payload.
      if (counts && (data == 0 || frame[HEADER] != 0x12)) errors++;
    }
    if (counts) record(time - connection->sent[(stream >> 1) % WINDOW]);
    position += whole;
    taken++;
  }
  memmove(connection->in, connection->in + position, connection->in_count - position);
  connection->in_count -= position;
  connection->in_flight -= taken;
  return taken;
}

static double decimal(const char *text, const char *option, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (*end || end == text || !(value >= least) || !(value <= most)) {
    fprintf(stderr, "client: --%s is \"%s\", expected %g to %g\n", option, text, least, most);
    exit(2);
  }
  return value;
}

int main(int count, char **arguments) {
  int port = 0, connection_count = 1;
  long in_flight = 1;
  size_t answer_bytes = 0;
  uint64_t calls = 0;
  double seconds = 1, warmup = 0.2;
  const char *path = 0;
  static const struct option options[] = {
      {"port", required_argument, 0, 'p'},      {"frames", required_argument, 0, 'f'},
      {"connections", required_argument, 0, 'c'}, {"in-flight", required_argument, 0, 'k'},
      {"seconds", required_argument, 0, 's'},   {"warmup", required_argument, 0, 'w'},
      {"calls", required_argument, 0, 'n'},     {"answer-bytes", required_argument, 0, 'a'},
      {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "", options, 0)) != -1;) {
    switch (option) {
    case 'p': port = (int)decimal(optarg, "port", 1, 65535); break;
    case 'f': path = optarg; break;
    case 'c': connection_count = (int)decimal(optarg, "connections", 1, 10000); break;
    case 'k': in_flight = (long)decimal(optarg, "in-flight", 1, WINDOW / 4); break;
    case 's': seconds = decimal(optarg, "seconds", 0.01, 3600); break;
    case 'w': warmup = decimal(optarg, "warmup", 0, 600); break;
    case 'n': calls = (uint64_t)decimal(optarg, "calls", 1, 1e12); break;
    case 'a': answer_bytes = (size_t)decimal(optarg, "answer-bytes", 1, MAXIMUM_FRAME); break;
    default: return 2;
    }
  }
  if (!port || !path) {
    fprintf(stderr, "usage: client --port P --frames FILE [--answer-bytes M] [--connections C] [--in-flight K]\n"
                    "              [--seconds S | --calls N] [--warmup S]\n");
    return 2;
  }
  read_frames(path);
  size_t longest = 0;
  for (size_t index = 0; index < frame_count; index++)
    if (frames[index].count > longest) longest = frames[index].count;

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Connection *connections = calloc((size_t)connection_count, sizeof *connections);
  for (int index = 0; index < connection_count; index++) {
    Connection *connection = &connections[index];
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->descriptor, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    int one = 1;
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(connection->descriptor, F_SETFL, O_NONBLOCK);
    connection->next_stream = connection->oldest = 1;
    connection->sent = calloc(WINDOW, sizeof *connection->sent);
    connection->out_capacity = longest * (size_t)(in_flight + 1);
    connection->out = malloc(connection->out_capacity);
    connection->in = malloc(READ_BYTES + HEADER + MAXIMUM_FRAME);
    if (!connection->sent || !connection->out || !connection->in) fail("memory");
  }

  uint64_t start = now(), from = start + (uint64_t)(warmup * 1e9), end = from + (uint64_t)(seconds * 1e9);
  uint64_t left = calls ? calls : UINT64_MAX, open = 0;
  if (calls) from = start;
  for (int index = 0; index < connection_count; index++) {
    uint64_t time = now();
    for (long call = 0; call < in_flight && left > 0; call++, left--, open++) queue_call(&connections[index], time);
    flush(epoll, &connections[index], index);
  }
  struct epoll_event events[EVENTS];
  uint64_t finished = start;
  while (open > 0) {
    int ready = epoll_wait(epoll, events, EVENTS, 10000);
    if (ready == 0) {
      fprintf(stderr, "client: no answer for 10 s\n");
      return 1;
    }
    for (int event = 0; event < ready; event++) {
      int index = (int)events[event].data.u32;
      Connection *connection = &connections[index];
      if (events[event].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t got = recv(connection->descriptor, connection->in + connection->in_count, READ_BYTES, 0);
        if (got == 0) {
          fprintf(stderr, "client: the server ended the connection\n");
          return 1;
        }
        if (got < 0 && errno != EAGAIN) fail("recv");
        if (got > 0) connection->in_count += (size_t)got;
        uint64_t time = now();
        int counts = calls || (time >= from && time < end);
        long taken = take_answers(connection, answer_bytes, time, counts);
        open -= (uint64_t)taken;
        finished = time;
        if (!calls && time >= end) left = 0;
        time = now();
        for (; taken > 0 && left > 0; taken--, left--, open++) queue_call(connection, time);
      }
      if (connection->out_count > 0) flush(epoll, connection, index);
    }
  }
  double measured = (double)((calls ? finished : end) - from) / 1e9;
  printf("{\"calls\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"calls_per_second\": %.1f, \"mean_us\": %.3f, "
         "\"p50_us\": %.3f, \"p99_us\": %.3f, \"p99.9_us\": %.3f}\n",
         (unsigned long long)recorded, (unsigned long long)errors, measured, (double)recorded / measured,
         recorded ? sum / (double)recorded / 1e3 : 0, percentile(50) / 1e3, percentile(99) / 1e3,
         percentile(99.9) / 1e3);
  if (recorded == 0) fprintf(stderr, "client: no answer came in the measurement\n");
  return errors || recorded == 0 ? 1 : 0;
}
