/* ReLU6 at an unchanged scale: a clamp between the bytes of 0 and 6. */
#ifndef EDGECNN_RELU6_H
#define EDGECNN_RELU6_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    int32_t activation_min, activation_max;
} edgecnn_relu6_params;

EDGECNN_FUNCTION void edgecnn_relu6(const edgecnn_relu6_params *p, const int8_t *input,
                                    int8_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        output[i] = (int8_t)edgecnn_clamp(input[i], p->activation_min, p->activation_max);
    }
}

#endif
