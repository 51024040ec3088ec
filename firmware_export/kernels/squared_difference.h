/* Square of the elementwise difference with broadcasting. */
#ifndef EDGECNN_SQUARED_DIFFERENCE_H
#define EDGECNN_SQUARED_DIFFERENCE_H

#include "edgecnn_scaled_pair.h"

typedef edgecnn_scaled_pair_params edgecnn_squared_difference_params;

EDGECNN_INLINE int8_t edgecnn_squared_difference_pair(const edgecnn_squared_difference_params *p, int8_t a, int8_t b) {
    const int32_t difference =
        edgecnn_scaled_pair_operand(p, 0, a) - edgecnn_scaled_pair_operand(p, 1, b);
    return edgecnn_scaled_pair_output(p, difference * difference);
}

EDGECNN_DEFINE_ROW(edgecnn_squared_difference_row, edgecnn_squared_difference_params, edgecnn_squared_difference_pair)

EDGECNN_FUNCTION void edgecnn_squared_difference(const edgecnn_squared_difference_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_squared_difference_row);
}

#endif
