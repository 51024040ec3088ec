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

/* Adds n products of a row of values with each of up to four rows of weights, which follow each
 * other, to a sum for each row. */
EDGECNN_INLINE void edgecnn_wide_products(const int8_t *weights, const int16_t *values, int32_t n,
                                          int32_t rows, int64_t *sums) {
    for (int32_t first = 0; first < n; first += EDGECNN_PRODUCTS_IN_32_BITS) {
        const int32_t left = n - first;
        const int32_t run = left < EDGECNN_PRODUCTS_IN_32_BITS ? left : EDGECNN_PRODUCTS_IN_32_BITS;
        const int8_t *w = weights + first;
        const int16_t *v = values + first;
        if (rows == 4) { /* each value is read once for four rows */
            const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
            int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (int32_t i = 0; i < run; ++i) {
                const int32_t x = v[i];
                s0 += x * w[i];
                s1 += x * w1[i];
                s2 += x * w2[i];
                s3 += x * w3[i];
            }
            sums[0] += s0;
            sums[1] += s1;
            sums[2] += s2;
            sums[3] += s3;
        } else {
            for (int32_t row = 0; row < rows; ++row) {
                int32_t sum = 0;
                for (int32_t i = 0; i < run; ++i) {
                    sum += (int32_t)v[i] * w[i + row * n];
                }
                sums[row] += sum;
            }
        }
    }
}

/* A sum as an int16 output. Sums that TensorFlow Lite keeps in 32 bits are rescaled as int8
 * layers do; others by a multiplier of 16 bits, rounded once, halves up; -31 <= shift <= 7. */
EDGECNN_INLINE int16_t edgecnn_wide_output(int64_t sum, int32_t multiplier, int32_t shift,
                                           int32_t is_32_bits, int32_t low, int32_t high) {
    if (is_32_bits) {
        return (int16_t)edgecnn_clamp(edgecnn_scale((int32_t)sum, multiplier, shift), low, high);
    }
    const int64_t twice = (sum * multiplier) >> (14 - shift);
    return (int16_t)edgecnn_clamp((int32_t)((twice + 1) >> 1), low, high);
}

/* What rescales the sums of channels. */
typedef struct {
    const int64_t *bias;       /* [channels] */
    const int32_t *multiplier; /* [channels], or [1] */
    const int8_t *shift;       /* as multiplier */
    int32_t per_channel;       /* 0 where there is one multiplier for all */
    int32_t has_32_bit_sums;
    int32_t activation_min, activation_max;
} edgecnn_wide_channels;

/* One row of n values against the rows of weights of the channels from first up to end. */
EDGECNN_FUNCTION int16_t *edgecnn_wide_filter(const edgecnn_wide_channels *p, const int8_t *weights,
                                            const int16_t *values, int32_t n, int32_t first,
                                            int32_t end, int16_t *output) {
    for (int32_t c = first; c < end; c += 4) {
        const int32_t rows = end - c < 4 ? end - c : 4;
        int64_t sums[4] = {0, 0, 0, 0};
        edgecnn_wide_products(weights + c * n, values, n, rows, sums);
        for (int32_t i = 0; i < rows; ++i) {
            const int32_t k = (c + i) * p->per_channel;
            *output++ = edgecnn_wide_output(sums[i] + p->bias[c + i], p->multiplier[k],
                                            p->shift[k], p->has_32_bit_sums, p->activation_min,
                                            p->activation_max);
        }
    }
    return output;
}

#endif
