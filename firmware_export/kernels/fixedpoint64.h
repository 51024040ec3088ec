/* Sums of products of int16 and int8 values in 64 bits, and their rescaling to int16.
 *
 * Twin of multiply_by_reduced_multiplier in edgecnn/fixedpoint.py. Specification: TensorFlow Lite
 * kernels/internal/common.cc (MultiplyByQuantizedMultiplier of int64).
 */
#ifndef EDGECNN_FIXEDPOINT64_H
#define EDGECNN_FIXEDPOINT64_H

#include "edgecnn_fixedpoint.h"

/* Products of int8 and int16 values whose sum fits an int32 for sure: 2^8 of at most 2^22. */
#define EDGECNN_PRODUCTS_IN_32_BITS 256

/* Sum of n products. */
EDGECNN_INLINE int64_t edgecnn_wide_dot(const int8_t *weights, const int16_t *values, int32_t n) {
    int64_t sum = 0;
    while (n > 0) {
        const int32_t run = n < EDGECNN_PRODUCTS_IN_32_BITS ? n : EDGECNN_PRODUCTS_IN_32_BITS;
        int32_t part = 0;
        for (int32_t i = 0; i < run; ++i) {
            part += (int32_t)weights[i] * (int32_t)values[i];
        }
        sum += part;
        weights += run;
        values += run;
        n -= run;
    }
    return sum;
}

/* A sum as an int16 output. Sums that TensorFlow Lite keeps in 32 bits are rescaled as int8
 * layers do; others by a multiplier of 16 bits, rounded once, halves up; -31 <= shift <= 7. */
EDGECNN_INLINE int16_t edgecnn_wide_output(int64_t sum, int32_t multiplier, int32_t shift,
                                           int32_t is_32_bits, int32_t low, int32_t high) {
    if (is_32_bits) {
        return (int16_t)edgecnn_clamp(edgecnn_scale((int32_t)sum, multiplier, shift), low, high);
    }
    const int32_t right = 15 - shift;
    const int64_t scaled = (sum * multiplier + ((int64_t)1 << (right - 1))) >> right;
    return (int16_t)edgecnn_clamp((int32_t)scaled, low, high);
}

#endif
