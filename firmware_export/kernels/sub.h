/* Elementwise difference with broadcasting. */
#ifndef EDGECNN_SUB_H
#define EDGECNN_SUB_H

#include "edgecnn_scaled_pair.h"

typedef edgecnn_scaled_pair_params edgecnn_sub_params;

EDGECNN_INLINE int8_t edgecnn_sub_pair(const edgecnn_sub_params *p, int8_t a, int8_t b) {
    return edgecnn_scaled_pair_output(
        p, edgecnn_scaled_pair_operand(p, 0, a) - edgecnn_scaled_pair_operand(p, 1, b));
}

EDGECNN_DEFINE_ROW(edgecnn_sub_row, edgecnn_sub_params, edgecnn_sub_pair)

EDGECNN_FUNCTION void edgecnn_sub(const edgecnn_sub_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_sub_row);
}

#endif
