/* Sigmoid of int16 values: interpolation in a table. */
#ifndef EDGECNN_SIGMOID_INT16_H
#define EDGECNN_SIGMOID_INT16_H

#include "edgecnn_fixedpoint16.h"

typedef edgecnn_curve_params edgecnn_sigmoid_int16_params;

EDGECNN_FUNCTION void edgecnn_sigmoid_int16(const edgecnn_sigmoid_int16_params *p,
                                           const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        output[i] = (int16_t)edgecnn_sigmoid_curve(edgecnn_curve_argument(p, input[i]));
    }
}

#endif
