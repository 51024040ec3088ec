/* Leaky rectifier whose slope is a constant array. */
#ifndef EDGECNN_PRELU_H
#define EDGECNN_PRELU_H

#include "edgecnn_broadcast.h"

typedef struct {
    edgecnn_broadcast loops;
    int32_t input_zero_point[2]; /* of the input and of the slope */
    int32_t positive_multiplier, positive_shift;
    int32_t negative_multiplier, negative_shift;
    int32_t output_zero_point;
} edgecnn_prelu_params;

EDGECNN_INLINE int8_t edgecnn_prelu_pair(const edgecnn_prelu_params *p, int8_t x, int8_t slope) {
    const int32_t value = x - p->input_zero_point[0];
    if (value >= 0) {
        return edgecnn_requantize(value, p->positive_multiplier, p->positive_shift,
                                  p->output_zero_point, INT8_MIN, INT8_MAX);
    }
    return edgecnn_requantize(value * (slope - p->input_zero_point[1]), p->negative_multiplier,
                              p->negative_shift, p->output_zero_point, INT8_MIN, INT8_MAX);
}

EDGECNN_DEFINE_ROW(edgecnn_prelu_row, edgecnn_prelu_params, edgecnn_prelu_pair)

EDGECNN_FUNCTION void edgecnn_prelu(const edgecnn_prelu_params *p, const int8_t *input,
                                    const int8_t *slope, int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, input, slope, output, edgecnn_prelu_row);
}

#endif
