#ifndef MARTLET_CKERNELS_LEVELS_H
#define MARTLET_CKERNELS_LEVELS_H

// Which of a kernel's variants the processor runs: the base of the platform, AVX2 with FMA, or AVX-512.

#define MARTLET_LEVEL_BASE 0
#define MARTLET_LEVEL_AVX2 1
#define MARTLET_LEVEL_AVX512 2

#define MARTLET_AVX2 __attribute__((target("avx2,fma")))
#define MARTLET_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))

// Set before main, constant from then on.
int martlet_level(void);

#endif
