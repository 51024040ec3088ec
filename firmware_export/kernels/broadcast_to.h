/* Values repeated along some axes: a strided copy with strides of 0. */
#ifndef EDGECNN_BROADCAST_TO_H
#define EDGECNN_BROADCAST_TO_H

#include "edgecnn_copy.h"

typedef edgecnn_copy_params edgecnn_broadcast_to_params;

EDGECNN_FUNCTION void edgecnn_broadcast_to(const edgecnn_broadcast_to_params *p, const int8_t *input,
                                 int8_t *output) {
    edgecnn_copy(p, input, output);
}

#endif
