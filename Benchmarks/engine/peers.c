// Calls the peers of `make bench-engine` at the lowest level that their packages offer, without Python in between.
//
// A library is opened where its wheel has put it, and called through its C interface on rows of a pool that is larger
// than the caches, so that every call takes rows that it has not seen for long. One engine belongs to one thread.
// Functions return 0, or -1 with a message in `peers_error`. ONNX Runtime's table of functions is read by position:
// its positions are part of its binary interface (onnxruntime_c_api.h, version 1).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_INPUTS 64

typedef struct Engine Engine;
struct Engine {
  int (*prepare)(Engine *, int batch);
  int (*call)(Engine *, long row, int batch);
  void *library;
  void *model;
  const float *pool; // [rows, width]
  const double *wide; // the same in double, where the engine takes no other
  long rows;
  int width;
  long position; // the next fresh row
  int batch; // what `prepare` prepared
  double *answers; // [batch, answerWidth]; floats where answersAreFloats
  int answerWidth;
  int answersAreFloats;
  const float *borrowed; // answers that the library keeps itself
  void *fast; // LightGBM's single-row configuration; XGBoost's proxy
  float *rowsBuffer;
  char *interface; // XGBoost's description of rowsBuffer
  void *entries; // TL2cgen's row
  int entryBytes;
  void (*function)(void); // compiled models' entry
  // ONNX Runtime
  int inputCount;
  const char *inputNames[MOST_INPUTS];
  int isText[MOST_INPUTS];
  int widths[MOST_INPUTS];
  const float *floats[MOST_INPUTS]; // [rows, widths]
  const char *const *texts[MOST_INPUTS]; // [rows, widths]
  void *values[MOST_INPUTS];
  float *buffers[MOST_INPUTS];
  int outputCount;
  const char *outputNames[2];
  void *outputs[2];
  int64_t *labels;
  int labelRank; // [rows], or [rows, 1]
};

static char message[1024];
static pthread_mutex_t messageLock = PTHREAD_MUTEX_INITIALIZER;

const char *peers_error(void) { return message; }

static int fail(const char *what, const char *why) {
  pthread_mutex_lock(&messageLock);
  snprintf(message, sizeof message, "%s: %s", what, why ? why : "unknown error");
  pthread_mutex_unlock(&messageLock);
  return -1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

static Engine *make(const float *pool, long rows, int width) {
  Engine *engine = calloc(1, sizeof *engine);
  engine->pool = pool;
  engine->rows = rows;
  engine->width = width;
  return engine;
}

static void *opened(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(path, dlerror());
  return library;
}

static void *grown(void *memory, size_t bytes) {
  free(memory);
  return aligned_alloc(64, (bytes + 64) / 64 * 64);
}

// XGBoost: in-place prediction of a buffer that stays the same, with a proxy that stays the same.

typedef int (*XGBCreate)(void *const *, uint64_t, void **);
typedef int (*XGBLoad)(void *, const char *);
typedef int (*XGBSet)(void *, const char *, const char *);
typedef int (*XGBPredict)(void *, const char *, const char *, void *, uint64_t const **, uint64_t *, float const **);
typedef int (*XGBProxy)(void **);
typedef const char *(*XGBError)(void);

static int xgboostPrepare(Engine *engine, int batch) {
  engine->rowsBuffer = grown(engine->rowsBuffer, sizeof(float) * batch * engine->width);
  engine->interface = realloc(engine->interface, 256);
  snprintf(engine->interface, 256,
    "{\"data\": [%llu, false], \"shape\": [%d, %d], \"typestr\": \"<f4\", \"version\": 3}",
    (unsigned long long)(uintptr_t)engine->rowsBuffer, batch, engine->width);
  return 0;
}

static int xgboostCall(Engine *engine, long row, int batch) {
  static const char configuration[] =
    "{\"type\": 0, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false, \"cache_id\": 0, "
    "\"missing\": NaN, \"training\": false}";
  memcpy(engine->rowsBuffer, engine->pool + row * engine->width, sizeof(float) * batch * engine->width);
  const uint64_t *shape;
  uint64_t dimensions;
  int status = ((XGBPredict)engine->function)(
    engine->model, engine->interface, configuration, engine->fast, &shape, &dimensions, &engine->borrowed);
  return status == 0 ? 0 : fail("xgboost", ((XGBError)dlsym(engine->library, "XGBGetLastError"))());
}

Engine *peers_xgboost(const char *path, const char *file, const float *pool, long rows, int width) {
  void *library = opened(path);
  if (!library) return NULL;
  Engine *engine = make(pool, rows, width);
  engine->library = library;
  engine->prepare = xgboostPrepare;
  engine->call = xgboostCall;
  engine->answerWidth = 1;
  engine->answersAreFloats = 1;
  engine->function = (void (*)(void))dlsym(library, "XGBoosterPredictFromDense");
  int status = ((XGBCreate)dlsym(library, "XGBoosterCreate"))(NULL, 0, &engine->model);
  if (!status) status = ((XGBLoad)dlsym(library, "XGBoosterLoadModel"))(engine->model, file);
  if (!status) status = ((XGBSet)dlsym(library, "XGBoosterSetParam"))(engine->model, "nthread", "1");
  if (!status) status = ((XGBProxy)dlsym(library, "XGProxyDMatrixCreate"))(&engine->fast);
  if (!status) return engine;
  fail("xgboost", ((XGBError)dlsym(library, "XGBGetLastError"))());
  return NULL;
}

// LightGBM: the single-row fast call for one row, the matrix call for more.

typedef int (*LGBMLoad)(const char *, int *, void **);
typedef int (*LGBMPredict)(
  void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *, double *);
typedef int (*LGBMFastInit)(void *, int, int, int, int, int32_t, const char *, void **);
typedef int (*LGBMFast)(void *, const void *, int64_t *, double *);

static int lightgbmPrepare(Engine *engine, int batch) {
  engine->answers = grown(engine->answers, sizeof(double) * batch);
  return 0;
}

static int lightgbmCall(Engine *engine, long row, int batch) {
  int64_t length;
  const float *rows = engine->pool + row * engine->width;
  int status = batch == 1
    ? ((LGBMFast)engine->function)(engine->fast, rows, &length, engine->answers)
    : ((LGBMPredict)engine->entries)(
        engine->model, rows, 0, batch, engine->width, 1, 0, 0, -1, "num_threads=1", &length, engine->answers);
  return status == 0 ? 0 : fail("lightgbm", ((XGBError)dlsym(engine->library, "LGBM_GetLastError"))());
}

Engine *peers_lightgbm(const char *path, const char *file, const float *pool, long rows, int width) {
  void *library = opened(path);
  if (!library) return NULL;
  Engine *engine = make(pool, rows, width);
  engine->library = library;
  engine->prepare = lightgbmPrepare;
  engine->call = lightgbmCall;
  engine->answerWidth = 1;
  engine->function = (void (*)(void))dlsym(library, "LGBM_BoosterPredictForMatSingleRowFast");
  engine->entries = dlsym(library, "LGBM_BoosterPredictForMat");
  int iterations;
  int status = ((LGBMLoad)dlsym(library, "LGBM_BoosterCreateFromModelfile"))(file, &iterations, &engine->model);
  if (!status) {
    status = ((LGBMFastInit)dlsym(library, "LGBM_BoosterPredictForMatSingleRowFastInit"))(
      engine->model, 0, 0, -1, 0, width, "num_threads=1", &engine->fast);
  }
  if (!status) return engine;
  fail("lightgbm", ((XGBError)dlsym(library, "LGBM_GetLastError"))());
  return NULL;
}

// lleaves: the compiled function in memory, on doubles where they lie.

typedef void (*Leaves)(const double *, double *, int32_t, int32_t);

static int lleavesCall(Engine *engine, long row, int batch) {
  ((Leaves)engine->function)(engine->wide + row * engine->width, engine->answers, 0, batch);
  return 0;
}

Engine *peers_lleaves(void *function, const double *pool, long rows, int width) {
  Engine *engine = make(NULL, rows, width);
  engine->wide = pool;
  engine->prepare = lightgbmPrepare;
  engine->call = lleavesCall;
  engine->answerWidth = 1;
  engine->function = (void (*)(void))function;
  return engine;
}

// TL2cgen: the function of the compiled library, row by row, as its own predictor calls it.

typedef union {
  int32_t missing;
  float value;
} NarrowEntry;
typedef union {
  int32_t missing;
  double value;
} WideEntry;

static int tl2cgenPrepare(Engine *engine, int batch) {
  engine->entries = grown(engine->entries, (size_t)engine->entryBytes * engine->width);
  engine->answers = grown(engine->answers, sizeof(double) * batch);
  return 0;
}

static int tl2cgenCall(Engine *engine, long row, int batch) {
  for (int i = 0; i < batch; i++) {
    const float *values = engine->pool + (row + i) * engine->width;
    if (engine->entryBytes == 4) {
      NarrowEntry *entries = engine->entries;
      for (int f = 0; f < engine->width; f++) {
        if (isnan(values[f])) entries[f].missing = -1;
        else entries[f].value = values[f];
      }
      float *sum = (float *)engine->answers + i;
      *sum = 0;
      ((void (*)(NarrowEntry *, int, float *))engine->function)(entries, 0, sum);
    } else {
      WideEntry *entries = engine->entries;
      for (int f = 0; f < engine->width; f++) {
        if (isnan(values[f])) entries[f].missing = -1;
        else entries[f].value = values[f];
      }
      engine->answers[i] = 0;
      ((void (*)(WideEntry *, int, double *))engine->function)(entries, 0, engine->answers + i);
    }
  }
  return 0;
}

Engine *peers_tl2cgen(const char *path, int isWide, const float *pool, long rows, int width) {
  void *library = opened(path);
  if (!library) return NULL;
  Engine *engine = make(pool, rows, width);
  engine->library = library;
  engine->prepare = tl2cgenPrepare;
  engine->call = tl2cgenCall;
  engine->answerWidth = 1;
  engine->entryBytes = isWide ? sizeof(WideEntry) : sizeof(NarrowEntry);
  engine->answersAreFloats = !isWide;
  engine->function = (void (*)(void))dlsym(library, "predict");
  if (engine->function) return engine;
  fail(path, "has no function predict");
  return NULL;
}

// ONNX Runtime: inputs and outputs bound to the same memory for every call of a batch size.

typedef struct {
  const void *const *(*api)(uint32_t);
  const char *(*version)(void);
} OrtBase;

enum {
  ortErrorMessage = 2,
  ortCreateEnv = 3,
  ortCreateSession = 7,
  ortRun = 9,
  ortCreateSessionOptions = 10,
  ortSetIntraOpNumThreads = 24,
  ortSetInterOpNumThreads = 25,
  ortCreateTensorAsValue = 48,
  ortCreateTensorWithData = 49,
  ortFillStringTensor = 52,
  ortCreateCpuMemoryInfo = 69,
  ortDefaultAllocator = 78,
  ortReleaseStatus = 93,
  ortReleaseValue = 96,
};

enum { ortFloat = 1, ortInt64 = 7, ortString = 8 };

static const void *const *ort;
static void *ortEnvironment;
static void *ortMemory;
static void *ortAllocator;

#define ORT(index, ...) ((void *(*)(__VA_ARGS__))ort[index])

static int ortFailed(void *status) {
  if (!status) return 0;
  fail("onnxruntime", ((const char *(*)(void *))ort[ortErrorMessage])(status));
  ((void (*)(void *))ort[ortReleaseStatus])(status);
  return -1;
}

static void ortRelease(void **value) {
  if (*value) ((void (*)(void *))ort[ortReleaseValue])(*value);
  *value = NULL;
}

static int onnxPrepare(Engine *engine, int batch) {
  for (int i = 0; i < engine->inputCount; i++) {
    int64_t shape[2] = {batch, engine->widths[i]};
    ortRelease(&engine->values[i]);
    void *status;
    if (engine->isText[i]) {
      status = ORT(ortCreateTensorAsValue, void *, const int64_t *, size_t, int, void **)(
        ortAllocator, shape, 2, ortString, &engine->values[i]);
    } else {
      size_t bytes = sizeof(float) * batch * engine->widths[i];
      engine->buffers[i] = grown(engine->buffers[i], bytes);
      status = ORT(ortCreateTensorWithData, void *, void *, size_t, const int64_t *, size_t, int, void **)(
        ortMemory, engine->buffers[i], bytes, shape, 2, ortFloat, &engine->values[i]);
    }
    if (ortFailed(status)) return -1;
  }
  int64_t shape[2] = {batch, engine->answerWidth};
  engine->labels = grown(engine->labels, sizeof(int64_t) * batch);
  engine->answers = grown(engine->answers, sizeof(float) * batch * engine->answerWidth);
  ortRelease(&engine->outputs[0]);
  ortRelease(&engine->outputs[1]);
  if (ortFailed(ORT(ortCreateTensorWithData, void *, void *, size_t, const int64_t *, size_t, int, void **)(
        ortMemory, engine->labels, sizeof(int64_t) * batch, (int64_t[]){batch, 1}, engine->labelRank, ortInt64,
        &engine->outputs[0])))
    return -1;
  return ortFailed(ORT(ortCreateTensorWithData, void *, void *, size_t, const int64_t *, size_t, int, void **)(
    ortMemory, engine->answers, sizeof(float) * batch * engine->answerWidth, shape, 2, ortFloat, &engine->outputs[1]));
}

static int onnxCall(Engine *engine, long row, int batch) {
  for (int i = 0; i < engine->inputCount; i++) {
    long width = engine->widths[i];
    if (engine->isText[i]) {
      if (ortFailed(ORT(ortFillStringTensor, void *, const char *const *, size_t)(
            engine->values[i], engine->texts[i] + row * width, batch * width)))
        return -1;
    } else {
      memcpy(engine->buffers[i], engine->floats[i] + row * width, sizeof(float) * batch * width);
    }
  }
  return ortFailed(
    ORT(ortRun, void *, void *, const char *const *, void *const *, size_t, const char *const *, size_t, void **)(
      engine->model, NULL, engine->inputNames, engine->values, engine->inputCount, engine->outputNames, 2,
      engine->outputs));
}

// Inputs are added one by one behind it; the outputs are an int64 label and `classes` float probabilities.
Engine *peers_onnxruntime(
  const char *path, const char *file, const char *label, const char *probabilities, int classes, long rows) {
  void *library = opened(path);
  if (!library) return NULL;
  if (!ort) {
    ort = ((OrtBase * (*)(void)) dlsym(library, "OrtGetApiBase"))()->api(1);
    if (!ort) return fail("onnxruntime", "has no interface of version 1"), NULL;
    if (ortFailed(ORT(ortCreateEnv, int, const char *, void **)(3, "bench", &ortEnvironment)) ||
        ortFailed(ORT(ortCreateCpuMemoryInfo, int, int, void **)(1, 0, &ortMemory)) ||
        ortFailed(ORT(ortDefaultAllocator, void **)(&ortAllocator)))
      return NULL;
  }
  Engine *engine = make(NULL, rows, 0);
  engine->library = library;
  engine->prepare = onnxPrepare;
  engine->call = onnxCall;
  engine->answerWidth = classes;
  engine->answersAreFloats = 1;
  engine->labelRank = 1;
  engine->outputNames[0] = strdup(label);
  engine->outputNames[1] = strdup(probabilities);
  void *options;
  if (ortFailed(ORT(ortCreateSessionOptions, void **)(&options)) ||
      ortFailed(ORT(ortSetIntraOpNumThreads, void *, int)(options, 1)) ||
      ortFailed(ORT(ortSetInterOpNumThreads, void *, int)(options, 1)) ||
      ortFailed(ORT(ortCreateSession, void *, const char *, void *, void **)(
        ortEnvironment, file, options, &engine->model)))
    return NULL;
  return engine;
}

int peers_onnxruntime_input(
  Engine *engine, const char *name, int width, const float *floats, const char *const *texts) {
  if (engine->inputCount == MOST_INPUTS) return fail("onnxruntime", "too many inputs");
  int i = engine->inputCount++;
  engine->inputNames[i] = strdup(name);
  engine->widths[i] = width;
  engine->isText[i] = texts != NULL;
  engine->floats[i] = floats;
  engine->texts[i] = texts;
  return 0;
}

// Says that the model's labels are a column.
void peers_onnxruntime_label_column(Engine *engine) { engine->labelRank = 2; }

// Another thread's engine with the same session, which any number of threads may run at once.
Engine *peers_onnxruntime_twin(const Engine *engine) {
  Engine *twin = calloc(1, sizeof *twin);
  *twin = *engine;
  twin->batch = 0;
  twin->position = 0;
  twin->answers = NULL;
  twin->labels = NULL;
  memset(twin->values, 0, sizeof twin->values);
  memset(twin->buffers, 0, sizeof twin->buffers);
  memset(twin->outputs, 0, sizeof twin->outputs);
  return twin;
}

// What is measured

static int prepared(Engine *engine, int batch) {
  if (engine->batch == batch) return 0;
  if (engine->prepare(engine, batch)) return -1;
  engine->batch = batch;
  return 0;
}

static int step(Engine *engine, int batch) {
  if (engine->position + batch > engine->rows) engine->position = 0;
  int status = engine->call(engine, engine->position, batch);
  engine->position += batch;
  return status;
}

typedef struct {
  Engine *engine;
  int batch;
  double end;
  pthread_barrier_t *start;
  double seconds;
  double began, ended;
  long rows;
  int status;
} Run;

static void *runThread(void *argument) {
  Run *run = argument;
  int stride = run->batch >= 64 ? 1 : 64 / run->batch;
  // What the measurement before left in the caches is not to be paid here.
  double warm = now() + run->seconds * 0.15;
  do {
    for (int i = 0; i < stride && !run->status; i++) run->status = step(run->engine, run->batch);
  } while (!run->status && now() < warm);
  pthread_barrier_wait(run->start);
  run->began = now();
  double end = run->began + run->seconds, time;
  do {
    for (int i = 0; i < stride && !run->status; i++) run->status = step(run->engine, run->batch);
    run->rows += (long)stride * run->batch;
    time = now();
  } while (!run->status && time < end);
  run->ended = time;
  return NULL;
}

// Runs each engine on a thread of its own for about `seconds`; wall time over all rows in nanoseconds.
int peers_run(Engine **engines, int count, int batch, double seconds, double *nanosecondsARow) {
  Run runs[16];
  pthread_t threads[16];
  pthread_barrier_t start;
  if (count < 1 || count > 16) return fail("run", "1 to 16 threads");
  for (int i = 0; i < count; i++) {
    if (prepared(engines[i], batch)) return -1;
    // Threads read different rows.
    if (i > 0 && engines[i]->position == 0) engines[i]->position = engines[i]->rows / count * i;
  }
  pthread_barrier_init(&start, NULL, count);
  for (int i = 0; i < count; i++) {
    runs[i] = (Run){.engine = engines[i], .batch = batch, .seconds = seconds, .start = &start};
    if (i > 0) pthread_create(&threads[i], NULL, runThread, &runs[i]);
  }
  runThread(&runs[0]);
  for (int i = 1; i < count; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  double rate = 0;
  for (int i = 0; i < count; i++) {
    if (runs[i].status) return -1;
    rate += runs[i].rows / (runs[i].ended - runs[i].began);
  }
  *nanosecondsARow = 1e9 / rate;
  return 0;
}

// The last answer of each of the first `count` rows: the score of the positive class.
int peers_answers(Engine *engine, int count, double *answers) {
  if (prepared(engine, count) || engine->call(engine, 0, count)) return -1;
  for (int i = 0; i < count; i++) {
    long place = (long)i * engine->answerWidth + engine->answerWidth - 1;
    answers[i] = engine->borrowed ? engine->borrowed[place]
      : engine->answersAreFloats ? ((float *)engine->answers)[place] : engine->answers[place];
  }
  return 0;
}
