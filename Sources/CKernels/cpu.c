// What the processor has, found once before main; every kernel asks here.

#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

static int highest, level;

__attribute__((constructor)) static void detect(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")
      && __builtin_cpu_supports("popcnt"))
    highest = MARTLET_CPU_AVX2;
  if (highest == MARTLET_CPU_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    highest = MARTLET_CPU_AVX512;
  if (highest == MARTLET_CPU_AVX512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni"))
    highest = MARTLET_CPU_AVX512_BYTES;
#endif
  level = highest;
  const char *wanted = getenv("MARTLET_CPU");
  if (wanted == NULL) return;
  if (strcmp(wanted, "portable") == 0) level = MARTLET_CPU_PORTABLE;
  if (strcmp(wanted, "avx2") == 0 && level > MARTLET_CPU_AVX2) level = MARTLET_CPU_AVX2;
}

int martlet_cpu_highest(void) { return highest; }

int martlet_cpu_level(void) { return level; }
