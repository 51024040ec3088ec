/* Elementwise sum of int16 values with broadcasting. */
#ifndef EDGECNN_ADD_INT16_H
#define EDGECNN_ADD_INT16_H

#include "edgecnn_scaled_pair_int16.h"

typedef edgecnn_scaled_pair_params edgecnn_add_int16_params;

EDGECNN_INLINE int16_t edgecnn_add_int16_pair(const edgecnn_add_int16_params *p, int16_t a,
                                              int16_t b) {
    return edgecnn_int16_output(p,
                                edgecnn_int16_operand(p, 0, a) + edgecnn_int16_operand(p, 1, b));
}

EDGECNN_DEFINE_INT16_PAIRS(edgecnn_add_int16, edgecnn_add_int16_params, edgecnn_add_int16_pair)

#endif
