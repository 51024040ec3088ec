/* Fixed-point arithmetic of TensorFlow Lite's integer kernels: the only place in C that rounds.
 *
 * Twin of edgecnn/fixedpoint.py. Specification: gemmlowp fixedpoint/fixedpoint.h and TensorFlow
 * Lite kernels/internal/common.cc (double rounding). No undefined behaviour: left shifts are
 * done unsigned; right shifts of negative numbers are arithmetic on every Arm compiler (they
 * are implementation-defined in C99), as is the conversion of large unsigned numbers to signed.
 */
#ifndef EDGECNN_FIXEDPOINT_H
#define EDGECNN_FIXEDPOINT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EDGECNN_UNUSED __attribute__((unused))
#else
#define EDGECNN_UNUSED
#endif

/* Kernels and helpers live in headers; a network may leave some unused. A kernel is compiled
 * once for all layers: copies for each would cost flash, and minutes for networks of hundreds.
 * Define EDGECNN_OUTLINED as nothing to let the compiler choose. */
#ifndef EDGECNN_OUTLINED
#if defined(__GNUC__)
#define EDGECNN_OUTLINED __attribute__((noinline))
#else
#define EDGECNN_OUTLINED
#endif
#endif

#define EDGECNN_FUNCTION static EDGECNN_OUTLINED EDGECNN_UNUSED
#define EDGECNN_INLINE static inline EDGECNN_UNUSED

/* x * 2^n, keeping the low 32 bits. */
EDGECNN_INLINE int32_t edgecnn_shift_left(int32_t x, int32_t n) {
    return (int32_t)((uint32_t)x << n);
}

/* High 32 bits of 2ab, rounded to nearest, halves up; not both INT32_MIN. gemmlowp's nudge
 * towards the product's sign and truncating division come to the same. */
EDGECNN_INLINE int32_t edgecnn_doubling_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^exponent, rounded to nearest, halves away from zero; 0 <= exponent <= 31. */
EDGECNN_INLINE int32_t edgecnn_rounding_divide_by_pot(int32_t x, int32_t exponent) {
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * multiplier / 2^31 * 2^shift with double rounding; -31 <= shift <= 30. */
EDGECNN_INLINE int32_t edgecnn_scale(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t high = edgecnn_doubling_high_mul(edgecnn_shift_left(x, left), multiplier);
    return edgecnn_rounding_divide_by_pot(high, right);
}

EDGECNN_INLINE int32_t edgecnn_clamp(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}

/* The end of most kernels: scale a sum, add the zero point, clamp to int8. Clamping comes
 * first, so that the addition cannot overflow. */
EDGECNN_INLINE int8_t edgecnn_requantize(int32_t sum, int32_t multiplier, int32_t shift,
                                         int32_t zero_point, int32_t low, int32_t high) {
    const int32_t scaled = edgecnn_scale(sum, multiplier, shift);
    return (int8_t)(edgecnn_clamp(scaled, low - zero_point, high - zero_point) + zero_point);
}

/* Channels whose sums are kept until they are rescaled together, which compilers vectorize. */
#define EDGECNN_BLOCK 16

/* Rescale the sums of n channels, each with bias, multiplier and shift of its own. */
EDGECNN_INLINE void edgecnn_requantize_channels(const int32_t *sums, const int32_t *bias,
                                                const int32_t *multiplier, const int8_t *shift,
                                                int32_t zero_point, int32_t low, int32_t high,
                                                int32_t n, int8_t *output) {
    for (int32_t i = 0; i < n; ++i) {
        output[i] = edgecnn_requantize(bias[i] + sums[i], multiplier[i], shift[i], zero_point, low,
                                       high);
    }
}

/* total / count, rounded to nearest, halves away from zero. */
EDGECNN_INLINE int32_t edgecnn_divide_rounding(int32_t total, int32_t count) {
    return (total > 0 ? total + count / 2 : total - count / 2) / count;
}

/* Sum of n products of int8 values. */
EDGECNN_INLINE int32_t edgecnn_dot(const int8_t *a, const int8_t *b, int32_t n) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; ++i) {
        sum += (int32_t)a[i] * (int32_t)b[i];
    }
    return sum;
}

#endif
