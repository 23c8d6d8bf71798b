#include "levels.h"

static int level = MARTLET_LEVEL_BASE;

#if defined(__x86_64__)
__attribute__((constructor)) static void detect(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return;
  level = MARTLET_LEVEL_AVX2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
      && __builtin_cpu_supports("avx512bw"))
    level = MARTLET_LEVEL_AVX512;
}
#endif

int martlet_level(void) { return level; }
