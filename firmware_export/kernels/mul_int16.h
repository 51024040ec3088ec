/* Elementwise product of int16 values with broadcasting. */
#ifndef EDGECNN_MUL_INT16_H
#define EDGECNN_MUL_INT16_H

#include "edgecnn_broadcast_int16.h"

typedef struct {
    edgecnn_broadcast loops;
    int32_t multiplier, shift;
    int32_t activation_min, activation_max;
} edgecnn_mul_int16_params;

EDGECNN_INLINE int16_t edgecnn_mul_int16_pair(const edgecnn_mul_int16_params *p, int16_t a,
                                              int16_t b) {
    const int32_t scaled = edgecnn_scale((int32_t)a * b, p->multiplier, p->shift);
    return (int16_t)edgecnn_clamp(scaled, p->activation_min, p->activation_max);
}

EDGECNN_DEFINE_INT16_PAIRS(edgecnn_mul_int16, edgecnn_mul_int16_params, edgecnn_mul_int16_pair)

#endif
