/* ReLU6 of int16 values at an unchanged scale: a clamp. */
#ifndef EDGECNN_RELU6_INT16_H
#define EDGECNN_RELU6_INT16_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    int32_t activation_min, activation_max;
} edgecnn_relu6_int16_params;

EDGECNN_FUNCTION void edgecnn_relu6_int16(const edgecnn_relu6_int16_params *p,
                                          const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        output[i] = (int16_t)edgecnn_clamp(input[i], p->activation_min, p->activation_max);
    }
}

#endif
