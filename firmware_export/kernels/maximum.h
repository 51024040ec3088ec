/* Elementwise the larger of two operands of one scale, with broadcasting. */
#ifndef EDGECNN_MAXIMUM_H
#define EDGECNN_MAXIMUM_H

#include "edgecnn_broadcast.h"

typedef struct {
    edgecnn_broadcast loops;
} edgecnn_maximum_params;

EDGECNN_INLINE int8_t edgecnn_maximum_pair(const edgecnn_maximum_params *p, int8_t a, int8_t b) {
    (void)p;
    return a > b ? a : b;
}

EDGECNN_DEFINE_ROW(edgecnn_maximum_row, edgecnn_maximum_params, edgecnn_maximum_pair)

EDGECNN_FUNCTION void edgecnn_maximum(const edgecnn_maximum_params *p, const int8_t *a, const int8_t *b,
                                     int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, edgecnn_maximum_row);
}

#endif
