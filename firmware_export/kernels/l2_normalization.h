/* Rows divided by their Euclidean length (TensorFlow Lite integer_ops/l2normalization.h). */
#ifndef EDGECNN_L2_NORMALIZATION_H
#define EDGECNN_L2_NORMALIZATION_H

#include "edgecnn_softmax.h"

typedef struct {
    int32_t rows, depth;
    int32_t input_zero_point;
} edgecnn_l2_normalization_params;

/* 1 / sqrt(x) as a multiplier and a left shift; Newton-Raphson in Q3.28. 0 counts as 1. */
EDGECNN_INLINE int32_t edgecnn_l2_normalization_inverse(int32_t x, int32_t *shift) {
    int32_t right = 11;
    int32_t y = 1 << 28;
    *shift = 0;
    if (x <= 1) {
        return INT32_MAX;
    }
    while (x >= 1 << 29) {
        x /= 4;
        ++right;
    }
    const int32_t pairs = (edgecnn_softmax_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    const int32_t half = edgecnn_rounding_divide_by_pot((x << (2 * pairs)) >> 1, 1);
    right -= pairs;
    for (int32_t i = 0; i < 5; ++i) {
        const int32_t cube = edgecnn_softmax_saturating_shift(
            edgecnn_doubling_high_mul(edgecnn_doubling_high_mul(y, y), y), 6);
        y = edgecnn_softmax_saturating_shift(
            edgecnn_doubling_high_mul((1 << 28) + (1 << 27), y) -
                edgecnn_doubling_high_mul(half, cube),
            3);
    }
    y = edgecnn_doubling_high_mul(y, 1518500250); /* sqrt(2) / 2 */
    if (right < 0) {
        return edgecnn_shift_left(y, -right);
    }
    *shift = -right;
    return y;
}

EDGECNN_FUNCTION void edgecnn_l2_normalization(const edgecnn_l2_normalization_params *p,
                                               const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t sum = 0;
        int32_t shift;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t value = input[i] - p->input_zero_point;
            sum += value * value;
        }
        const int32_t multiplier = edgecnn_l2_normalization_inverse(sum, &shift);
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t value = input[i] - p->input_zero_point;
            output[i] = (int8_t)edgecnn_clamp(edgecnn_scale(value, multiplier, shift + 7),
                                              INT8_MIN, INT8_MAX);
        }
        input += p->depth;
        output += p->depth;
    }
}

#endif
