/* Fully connected layer of int16 values: each row of the input against each row of the weights. */
#ifndef EDGECNN_FULLY_CONNECTED_INT16_H
#define EDGECNN_FULLY_CONNECTED_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights; /* [units][depth] */
    edgecnn_wide_channels channels;
    int32_t rows, depth, units;
} edgecnn_fully_connected_int16_params;

EDGECNN_FUNCTION void edgecnn_fully_connected_int16(const edgecnn_fully_connected_int16_params *p,
                                                    const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        output = edgecnn_wide_filter(&p->channels, p->weights, input, p->depth, 0, p->units,
                                     output);
        input += p->depth;
    }
}

#endif
