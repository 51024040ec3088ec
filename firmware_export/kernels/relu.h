/* ReLU that also changes scale. */
#ifndef EDGECNN_RELU_H
#define EDGECNN_RELU_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    int32_t multiplier, shift;
    int32_t input_zero_point, output_zero_point;
} edgecnn_relu_params;

EDGECNN_FUNCTION void edgecnn_relu(const edgecnn_relu_params *p, const int8_t *input,
                                   int8_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        output[i] = edgecnn_requantize(input[i] - p->input_zero_point, p->multiplier, p->shift,
                                       p->output_zero_point, p->output_zero_point, INT8_MAX);
    }
}

#endif
