#ifndef MARTLET_CKERNELS_EXPONENTIAL_H
#define MARTLET_CKERNELS_EXPONENTIAL_H

// The exponential function of eight floats with the bits of the C library's expf.
//
// The result in double precision is wrong by less than 2^-40; rounded to a float it is what expf gives unless it lies
// almost in the middle of two floats, since expf is wrong by less than 0.502 units in the last place. Such a lane, one
// of some two hundred, and those whose result is not a normal float ask expf itself. So whatever instructions a
// processor has, the bits are the same, and which lane an element falls into does not matter.

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float exp_floats __attribute__((vector_size(32)));
typedef double exp_doubles __attribute__((vector_size(64)));
typedef int64_t exp_integers __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) void exponential_of_eight(float *values) {
  exp_floats single;
  memcpy(&single, values, sizeof single);
  const exp_doubles x = __builtin_convertvector(single, exp_doubles);
  // x = k ln 2 + r with a whole k; adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits.
  const exp_doubles shifted = x * 0x1.71547652b82fep+0 + 0x1.8p52;
  const exp_doubles k = shifted - 0x1.8p52;
  const exp_doubles r = x - k * 0x1.62e42fefa39efp-1;
  // The series of e^r for |r| <= ln 2 / 2, whose next term is below 2^-42.
  exp_doubles sum = r * (1.0 / 3628800) + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  exp_integers bits = (exp_integers)sum + ((exp_integers)shifted << 52);
  const exp_floats result = __builtin_convertvector((exp_doubles)bits, exp_floats);
  // The 29 bits that a float does not have, and how far they are from half a unit.
  const exp_integers rest = (bits & 0x1fffffff) - 0x10000000;
  const exp_integers plain =
      ((rest > 0x200000) | (rest < -0x200000)) & (exp_integers)(x > -87.0) & (exp_integers)(x < 88.0);
  memcpy(values, &result, sizeof result);
  if (__builtin_expect(__builtin_reduce_and(plain) == 0, 0)) {
    for (size_t i = 0; i < 8; i++) {
      if (plain[i]) continue;
      // Half of the least float is e^-103.97.
      values[i] = single[i] < -104 ? 0 : expf(single[i]);
    }
  }
}

#endif
