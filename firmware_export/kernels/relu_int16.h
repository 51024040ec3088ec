/* ReLU of int16 values that also changes scale. */
#ifndef EDGECNN_RELU_INT16_H
#define EDGECNN_RELU_INT16_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    int32_t multiplier, shift;
} edgecnn_relu_int16_params;

EDGECNN_FUNCTION void edgecnn_relu_int16(const edgecnn_relu_int16_params *p, const int16_t *input,
                                         int16_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        const int32_t scaled = edgecnn_scale(input[i], p->multiplier, p->shift);
        output[i] = (int16_t)edgecnn_clamp(scaled, 0, INT16_MAX);
    }
}

#endif
