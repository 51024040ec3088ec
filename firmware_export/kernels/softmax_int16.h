/* Softmax of int16 values over rows, by interpolation in tables (TensorFlow Lite SoftmaxInt16). */
#ifndef EDGECNN_SOFTMAX_INT16_H
#define EDGECNN_SOFTMAX_INT16_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int16_t *exponentials; /* [513] exp(x) of x from -10 to 0 */
    const int16_t *reciprocals;  /* [513] 1 / (1 + x) of x from 0 to 1 */
    int32_t rows, depth;
    int32_t multiplier, shift; /* bring a difference of inputs to steps of 10 / 65535 */
} edgecnn_softmax_int16_params;

/* x / 2^shift to the nearest, halves up; shift is 1 or more. */
EDGECNN_INLINE int64_t edgecnn_softmax_int16_shift(int64_t x, int32_t shift) {
    return ((x >> (shift - 1)) + 1) >> 1;
}

/* Between two entries of a table, of which each stands for 128 values from -32768 on. */
EDGECNN_INLINE int32_t edgecnn_softmax_int16_look_up(const int16_t *table, int32_t x) {
    const int16_t *entry = table + (256 + (x >> 7));
    const int32_t slope = entry[1] - entry[0];
    return entry[0] + (int32_t)edgecnn_softmax_int16_shift(slope * (x & 127), 7);
}

/* The exponentials of a row, which go to the output, and their sum. */
EDGECNN_INLINE int32_t edgecnn_softmax_int16_powers(const edgecnn_softmax_int16_params *p,
                                                    const int16_t *input, int16_t *output) {
    int32_t largest = INT16_MIN, sum = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
        largest = input[i] > largest ? input[i] : largest;
    }
    for (int32_t i = 0; i < p->depth; ++i) {
        const int32_t scaled = edgecnn_scale(input[i] - largest, p->multiplier, p->shift);
        const int32_t x = edgecnn_clamp(scaled, INT16_MIN - INT16_MAX, 0) + INT16_MAX;
        const int32_t power = edgecnn_softmax_int16_look_up(p->exponentials, x);
        output[i] = (int16_t)power;
        sum += power;
    }
    return sum;
}

EDGECNN_FUNCTION void edgecnn_softmax_int16(const edgecnn_softmax_int16_params *p,
                                            const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        const int32_t sum = edgecnn_softmax_int16_powers(p, input, output);
        int32_t headroom = 0; /* leading zeros of the sum, which is over 0 */
        while (!(((uint32_t)sum << headroom) & 0x80000000u)) {
            ++headroom;
        }
        const int64_t shifted = edgecnn_softmax_int16_shift(
            (int64_t)sum * ((int64_t)1 << (headroom - 1)), 14);
        const int32_t x = edgecnn_clamp((int32_t)shifted - 98304, INT16_MIN, INT16_MAX);
        const int64_t reciprocal = edgecnn_softmax_int16_look_up(p->reciprocals, x);
        for (int32_t i = 0; i < p->depth; ++i) {
            const int64_t share =
                edgecnn_softmax_int16_shift(output[i] * reciprocal, 31 - headroom);
            output[i] = (int16_t)edgecnn_clamp((int32_t)share, 0, INT16_MAX);
        }
        input += p->depth;
        output += p->depth;
    }
}

#endif
