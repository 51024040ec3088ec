/* Elementwise product with broadcasting. */
#ifndef EDGECNN_MUL_H
#define EDGECNN_MUL_H

#include "edgecnn_broadcast.h"

typedef struct {
    edgecnn_broadcast loops;
    int32_t input_zero_point[2];
    int32_t multiplier, shift, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_mul_params;

EDGECNN_INLINE int8_t edgecnn_mul_pair(const edgecnn_mul_params *p, int8_t a, int8_t b) {
    const int32_t product = (a - p->input_zero_point[0]) * (b - p->input_zero_point[1]);
    return edgecnn_requantize(product, p->multiplier, p->shift, p->output_zero_point,
                              p->activation_min, p->activation_max);
}

EDGECNN_DEFINE_ROW(edgecnn_mul_row, edgecnn_mul_params, edgecnn_mul_pair)

EDGECNN_FUNCTION void edgecnn_mul(const edgecnn_mul_params *p, const int8_t *a, const int8_t *b,
                                  int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_mul_row);
}

#endif
