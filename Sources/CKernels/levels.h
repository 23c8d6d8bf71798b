#ifndef MARTLET_CKERNELS_LEVELS_H
#define MARTLET_CKERNELS_LEVELS_H

// Which of a kernel's variants the processor runs, for kernels that do not tell the levels of AVX-512 apart.

#include "CKernels.h"

#define MARTLET_LEVEL_BASE MARTLET_CPU_PORTABLE
#define MARTLET_LEVEL_AVX2 MARTLET_CPU_AVX2
#define MARTLET_LEVEL_AVX512 MARTLET_CPU_AVX512

#define MARTLET_AVX2 __attribute__((target("avx2,fma")))
#define MARTLET_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))

static inline int martlet_level(void) {
  const int level = martlet_cpu_level();
  return level < MARTLET_LEVEL_AVX512 ? level : MARTLET_LEVEL_AVX512;
}

#endif
