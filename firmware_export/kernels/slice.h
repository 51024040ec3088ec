/* A part of a tensor: a strided copy. */
#ifndef EDGECNN_SLICE_H
#define EDGECNN_SLICE_H

#include "edgecnn_copy.h"

typedef edgecnn_copy_params edgecnn_slice_params;

EDGECNN_FUNCTION void edgecnn_slice(const edgecnn_slice_params *p, const int8_t *input,
                                 int8_t *output) {
    edgecnn_copy(p, input, output);
}

#endif
