/* Elementwise the smaller of two operands of one scale, with broadcasting. */
#ifndef EDGECNN_MINIMUM_H
#define EDGECNN_MINIMUM_H

#include "edgecnn_broadcast.h"

typedef struct {
    edgecnn_broadcast loops;
} edgecnn_minimum_params;

EDGECNN_INLINE int8_t edgecnn_minimum_pair(const edgecnn_minimum_params *p, int8_t a, int8_t b) {
    (void)p;
    return a < b ? a : b;
}

EDGECNN_DEFINE_ROW(edgecnn_minimum_row, edgecnn_minimum_params, edgecnn_minimum_pair)

EDGECNN_FUNCTION void edgecnn_minimum(const edgecnn_minimum_params *p, const int8_t *a, const int8_t *b,
                                     int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_minimum_row);
}

#endif
