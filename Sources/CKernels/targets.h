// Attributes of the functions that are compiled for one level of processor.

#ifndef MARTLET_TARGETS_H
#define MARTLET_TARGETS_H

#include "CKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET_AVX2 __attribute__((target("avx2,fma,bmi,bmi2,popcnt,lzcnt")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi,bmi2,popcnt,lzcnt")))
#define TARGET_AVX512_BYTES                                                                                            \
  __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vbmi,gfni,avx2,fma,bmi,bmi2,popcnt,lzcnt")))
#endif

#define INLINED static inline __attribute__((always_inline, unused))

#endif
