/* Minimum over some axes. */
#ifndef EDGECNN_REDUCE_MIN_H
#define EDGECNN_REDUCE_MIN_H

#include "edgecnn_reduce.h"

typedef edgecnn_reduce_params edgecnn_reduce_min_params;

EDGECNN_FUNCTION void edgecnn_reduce_min(const edgecnn_reduce_min_params *p, const int8_t *input,
                                        int8_t *output) {
    edgecnn_reduce_extreme(p, input, -1, output);
}

#endif
