// An open-loop client on one thread: calls leave when their time has come, whether earlier ones were answered or not.
// Prints one line of JSON.
//
//   open --port P --within MICROSECONDS [--seconds S] [--warmup S] CONNECTIONS:RATE:FILE…
//
// Each group of so many connections sends RATE calls a second together, with exponential gaps from a fixed seed; FILE
// holds ttrpc frames, one behind the other, which take turns. Latency runs from the time at which a call was to leave:
// what this client is late with counts. A good answer is one without a status that comes within --within. The client
// polls without sleeping, so it wants a core of its own.
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

enum { READ_BYTES = 256 << 10, WINDOW = 1 << 16, EVENTS = 64, HEADER = 10, MAXIMUM_FRAME = 4 << 20, GROUPS = 8 };
enum { OUT_BYTES = 8 << 20, SUB = 256, BUCKETS = 48 * SUB, CODES = 17 };

// Latencies in nanoseconds, to one part in 256.
typedef struct {
  uint64_t counts[BUCKETS], recorded;
} Histogram;

typedef struct {
  const uint8_t *bytes;
  size_t count;
} Frame;

typedef struct {
  int connections;
  double rate;
  Frame *frames;
  size_t frame_count, next_frame;
  int first, next_connection;
  uint64_t next_time, random;
  uint64_t calls, good, late, unsent, codes[CODES];
  Histogram answered, refused, lag;
} Group;

typedef struct {
  int descriptor;
  Group *group;
  uint32_t next_stream;
  uint64_t *due;  // when the call was to leave, by call number modulo WINDOW
  uint8_t *out, *in;
  size_t out_start, out_count, in_count;
} Connection;

static uint64_t from, end, within, in_flight;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void record(Histogram *histogram, uint64_t value) {
  size_t index = (size_t)value;
  if (value >= 2 * SUB) {
    int shift = 63 - __builtin_clzll(value) - 8;
    index = (size_t)shift * SUB + (size_t)(value >> shift);
  }
  histogram->counts[index < BUCKETS ? index : BUCKETS - 1]++;
  histogram->recorded++;
}

static double percentile(const Histogram *histogram, double rank) {
  uint64_t target = (uint64_t)ceil(rank / 100 * (double)histogram->recorded), seen = 0;
  for (size_t index = 0; index < BUCKETS; index++) {
    seen += histogram->counts[index];
    if (seen < target || seen == 0) continue;
    if (index < 2 * SUB) return (double)index / 1e3;
    size_t shift = index / SUB - 1;
    return ((double)((SUB + index % SUB) << shift) + (double)(1ull << shift) / 2) / 1e3;
  }
  return 0;
}

static void read_frames(Group *group, const char *path) {
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
      fprintf(stderr, "open: %s: the frame at byte %zu is cut off\n", path, position);
      exit(2);
    }
    group->frames = realloc(group->frames, (group->frame_count + 1) * sizeof *group->frames);
    if (!group->frames) fail("memory");
    group->frames[group->frame_count++] = (Frame){bytes + position, HEADER + data};
    position += HEADER + data;
  }
}

static double gap(Group *group) {
  uint64_t z = group->random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return -log1p(-(double)(z >> 11) * 0x1p-53) / group->rate * 1e9;
}

static void flush(Connection *connection) {
  if (connection->out_count == 0) return;
  ssize_t sent =
      send(connection->descriptor, connection->out + connection->out_start, connection->out_count, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) fail("send");
  if (sent > 0) {
    connection->out_start += (size_t)sent;
    connection->out_count -= (size_t)sent;
  }
  if (connection->out_count == 0) connection->out_start = 0;
}

static void queue_call(Group *group, Connection *connection, uint64_t due, uint64_t time) {
  const Frame *frame = &group->frames[group->next_frame];
  group->next_frame = group->next_frame + 1 == group->frame_count ? 0 : group->next_frame + 1;
  int counts = due >= from && due < end;
  if (counts) group->calls++;
  if (connection->out_start + connection->out_count + frame->count > OUT_BYTES) {
    memmove(connection->out, connection->out + connection->out_start, connection->out_count);
    connection->out_start = 0;
  }
  if (connection->out_count + frame->count > OUT_BYTES) {
    if (counts) group->unsent++;
    return;
  }
  uint8_t *target = connection->out + connection->out_start + connection->out_count;
  memcpy(target, frame->bytes, frame->count);
  uint32_t stream = connection->next_stream;
  connection->next_stream += 2;
  connection->due[(stream >> 1) % WINDOW] = due;
  uint32_t order = htonl(stream);
  memcpy(target + 4, &order, 4);
  connection->out_count += frame->count;
  in_flight++;
  if (counts) record(&group->lag, time - due);
}

// The status code of an answer: 0 when it has none.
static unsigned code_of(const uint8_t *data, size_t count) {
  // Field 1 is the status, which a good answer leaves out; its field 1 the code.
  if (count < 2 || data[0] != 0x0a) return 0;
  size_t position = 1;
  while (position < count && data[position] & 0x80) position++;
  position++;
  if (position + 1 >= count || data[position] != 0x08) return 2;
  return data[position + 1] < CODES ? data[position + 1] : 2;
}

static void take_answers(Connection *connection, uint64_t time) {
  Group *group = connection->group;
  size_t position = 0;
  for (;;) {
    size_t left = connection->in_count - position;
    if (left < HEADER) break;
    const uint8_t *frame = connection->in + position;
    uint32_t data, stream;
    memcpy(&data, frame, 4);
    memcpy(&stream, frame + 4, 4);
    data = ntohl(data);
    stream = ntohl(stream);
    if (data > MAXIMUM_FRAME || frame[8] != 2 || !(stream & 1) || stream >= connection->next_stream) {
      fprintf(stderr, "open: what came is no ttrpc response\n");
      exit(1);
    }
    if (left < HEADER + data) break;
    uint64_t due = connection->due[(stream >> 1) % WINDOW];
    if (due >= from && due < end) {
      unsigned code = code_of(frame + HEADER, data);
      uint64_t latency = time - due;
      group->codes[code]++;
      if (code == 0) {
        record(&group->answered, latency);
        if (latency <= within) group->good++; else group->late++;
      } else {
        record(&group->refused, latency);
      }
    }
    position += HEADER + data;
    in_flight--;
  }
  memmove(connection->in, connection->in + position, connection->in_count - position);
  connection->in_count -= position;
}

static double decimal(const char *text, const char *option, double least, double most) {
  char *rest;
  double value = strtod(text, &rest);
  if (*rest || rest == text || !(value >= least) || !(value <= most)) {
    fprintf(stderr, "open: %s is \"%s\", expected %g to %g\n", option, text, least, most);
    exit(2);
  }
  return value;
}

int main(int count, char **arguments) {
  int port = 0, group_count = 0, connection_count = 0;
  double seconds = 1, warmup = 0.5;
  static Group groups[GROUPS];
  static const struct option options[] = {
      {"port", required_argument, 0, 'p'},   {"within", required_argument, 0, 'l'},
      {"seconds", required_argument, 0, 's'}, {"warmup", required_argument, 0, 'w'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "", options, 0)) != -1;) {
    switch (option) {
    case 'p': port = (int)decimal(optarg, "--port", 1, 65535); break;
    case 'l': within = (uint64_t)(decimal(optarg, "--within", 1, 1e9) * 1e3); break;
    case 's': seconds = decimal(optarg, "--seconds", 0.01, 3600); break;
    case 'w': warmup = decimal(optarg, "--warmup", 0, 600); break;
    default: return 2;
    }
  }
  for (int index = optind; index < count && group_count < GROUPS; index++) {
    Group *group = &groups[group_count++];
    char *rate = strchr(arguments[index], ':'), *path = rate ? strchr(rate + 1, ':') : 0;
    if (!path) port = 0;
    if (!port) break;
    *rate = *path = 0;
    group->connections = (int)decimal(arguments[index], "CONNECTIONS", 1, 1000);
    group->rate = decimal(rate + 1, "RATE", 0.1, 1e8);
    group->random = (uint64_t)group_count;
    group->first = connection_count;
    connection_count += group->connections;
    read_frames(group, path + 1);
  }
  if (!port || !within || !group_count) {
    fprintf(stderr, "usage: open --port P --within MICROSECONDS [--seconds S] [--warmup S] CONNECTIONS:RATE:FILE...\n");
    return 2;
  }

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Connection *connections = calloc((size_t)connection_count, sizeof *connections);
  for (int index = 0; index < connection_count; index++) {
    Connection *connection = &connections[index];
    for (int group = 0; group < group_count; group++)
      if (index >= groups[group].first) connection->group = &groups[group];
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->descriptor, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    int one = 1;
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(connection->descriptor, F_SETFL, O_NONBLOCK);
    connection->next_stream = 1;
    connection->due = calloc(WINDOW, sizeof *connection->due);
    connection->out = malloc(OUT_BYTES);
    connection->in = malloc(READ_BYTES + HEADER + MAXIMUM_FRAME);
    if (!connection->due || !connection->out || !connection->in) fail("memory");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->descriptor, &event) < 0) fail("epoll_ctl");
  }

  uint64_t start = now();
  from = start + (uint64_t)(warmup * 1e9);
  end = from + (uint64_t)(seconds * 1e9);
  for (int group = 0; group < group_count; group++) groups[group].next_time = start + (uint64_t)gap(&groups[group]);
  struct epoll_event events[EVENTS];
  for (;;) {
    uint64_t time = now();
    if (time >= end && (in_flight == 0 || time >= end + 2000000000u)) break;
    for (int index = 0; index < group_count && time < end; index++) {
      Group *group = &groups[index];
      // A few at a time, so that answers are read between them.
      for (int burst = 0; burst < 32 && group->next_time <= time; burst++) {
        Connection *connection = &connections[group->first + group->next_connection];
        group->next_connection = (group->next_connection + 1) % group->connections;
        queue_call(group, connection, group->next_time, time);
        flush(connection);
        group->next_time += (uint64_t)gap(group);
      }
    }
    int ready = epoll_wait(epoll, events, EVENTS, 0);
    for (int event = 0; event < ready; event++) {
      Connection *connection = &connections[events[event].data.u32];
      ssize_t got = recv(connection->descriptor, connection->in + connection->in_count, READ_BYTES, 0);
      if (got == 0) {
        fprintf(stderr, "open: the server ended the connection\n");
        return 1;
      }
      if (got < 0 && errno != EAGAIN) fail("recv");
      if (got > 0) connection->in_count += (size_t)got;
      take_answers(connection, now());
    }
    for (int index = 0; index < connection_count; index++) flush(&connections[index]);
  }

  printf("{\"seconds\": %.6f, \"unanswered\": %llu, \"groups\": [", seconds, (unsigned long long)in_flight);
  for (int index = 0; index < group_count; index++) {
    Group *group = &groups[index];
    printf("%s{\"calls\": %llu, \"good\": %llu, \"late\": %llu, \"unsent\": %llu, \"deadline_exceeded\": %llu, "
           "\"resource_exhausted\": %llu, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p99.9_us\": %.3f, "
           "\"refused_p50_us\": %.3f, \"refused_p99_us\": %.3f, \"lag_p99_us\": %.3f, \"codes\": {",
           index ? ", " : "", (unsigned long long)group->calls, (unsigned long long)group->good,
           (unsigned long long)group->late, (unsigned long long)group->unsent, (unsigned long long)group->codes[4],
           (unsigned long long)group->codes[8], percentile(&group->answered, 50), percentile(&group->answered, 99),
           percentile(&group->answered, 99.9), percentile(&group->refused, 50), percentile(&group->refused, 99),
           percentile(&group->lag, 99));
    const char *separator = "";
    for (int code = 0; code < CODES; code++)
      if (group->codes[code]) {
        printf("%s\"%d\": %llu", separator, code, (unsigned long long)group->codes[code]);
        separator = ", ";
      }
    printf("}}");
  }
  printf("]}\n");
  return 0;
}
