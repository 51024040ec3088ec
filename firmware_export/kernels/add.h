/* Elementwise sum with broadcasting. */
#ifndef EDGECNN_ADD_H
#define EDGECNN_ADD_H

#include "edgecnn_scaled_pair.h"

typedef edgecnn_scaled_pair_params edgecnn_add_params;

EDGECNN_INLINE int8_t edgecnn_add_pair(const edgecnn_add_params *p, int8_t a, int8_t b) {
    return edgecnn_scaled_pair_output(
        p, edgecnn_scaled_pair_operand(p, 0, a) + edgecnn_scaled_pair_operand(p, 1, b));
}

EDGECNN_DEFINE_ROW(edgecnn_add_row, edgecnn_add_params, edgecnn_add_pair)

EDGECNN_FUNCTION void edgecnn_add(const edgecnn_add_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_add_row);
}

#endif
