/* An image in another size, each pixel a copy of one of its pixels. */
#ifndef EDGECNN_RESIZE_NEAREST_H
#define EDGECNN_RESIZE_NEAREST_H

#include "edgecnn_copy.h"

typedef struct {
    const int32_t *rows;    /* input row of each output row */
    const int32_t *columns; /* input column of each output column */
    int32_t batch;
    int32_t input_height, input_width;
    int32_t output_height, output_width;
    int32_t channels;
} edgecnn_resize_nearest_params;

EDGECNN_FUNCTION void edgecnn_resize_nearest(const edgecnn_resize_nearest_params *p,
                                             const int8_t *input, int8_t *output) {
    const int32_t row_size = p->input_width * p->channels;
    for (int32_t b = 0; b < p->batch; ++b) {
        for (int32_t y = 0; y < p->output_height; ++y) {
            const int8_t *row = input + p->rows[y] * row_size;
            for (int32_t x = 0; x < p->output_width; ++x) {
                output = edgecnn_copy_run(output, row + p->columns[x] * p->channels, p->channels);
            }
        }
        input += p->input_height * row_size;
    }
}

#endif
