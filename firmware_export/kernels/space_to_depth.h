/* Blocks of an image gathered into its channels: a strided copy. */
#ifndef EDGECNN_SPACE_TO_DEPTH_H
#define EDGECNN_SPACE_TO_DEPTH_H

#include "edgecnn_copy.h"

typedef edgecnn_copy_params edgecnn_space_to_depth_params;

EDGECNN_FUNCTION void edgecnn_space_to_depth(const edgecnn_space_to_depth_params *p, const int8_t *input,
                                 int8_t *output) {
    edgecnn_copy(p, input, output);
}

#endif
