/* An image in another size, each pixel a mean of four of its pixels by distance. */
#ifndef EDGECNN_RESIZE_BILINEAR_H
#define EDGECNN_RESIZE_BILINEAR_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int32_t *rows;    /* [output_height][3]: upper row, lower row, distance in 1/1024 */
    const int32_t *columns; /* [output_width][3]: left column, right column, distance */
    int32_t batch;
    int32_t input_height, input_width;
    int32_t output_height, output_width;
    int32_t channels;
} edgecnn_resize_bilinear_params;

/* Between two values; before the first pixel the distance is negative, and both are the same. */
EDGECNN_INLINE int32_t edgecnn_resize_bilinear_mix(int32_t a, int32_t b, int32_t distance) {
    return a * (1024 - distance) + b * distance;
}

EDGECNN_FUNCTION void edgecnn_resize_bilinear(const edgecnn_resize_bilinear_params *p,
                                              const int8_t *input, int8_t *output) {
    const int32_t row_size = p->input_width * p->channels;
    for (int32_t b = 0; b < p->batch; ++b) {
        for (int32_t y = 0; y < p->output_height; ++y) {
            const int32_t *row = p->rows + 3 * y;
            const int8_t *upper = input + row[0] * row_size;
            const int8_t *lower = input + row[1] * row_size;
            for (int32_t x = 0; x < p->output_width; ++x) {
                const int32_t *column = p->columns + 3 * x;
                const int32_t left = column[0] * p->channels;
                const int32_t right = column[1] * p->channels;
                for (int32_t c = 0; c < p->channels; ++c) {
                    const int32_t above = edgecnn_resize_bilinear_mix(
                        upper[left + c], upper[right + c], column[2]);
                    const int32_t below = edgecnn_resize_bilinear_mix(
                        lower[left + c], lower[right + c], column[2]);
                    const int32_t sum = edgecnn_resize_bilinear_mix(above, below, row[2]);
                    *output++ = (int8_t)edgecnn_divide_rounding(sum, (int32_t)1 << 20);
                }
            }
        }
        input += p->input_height * row_size;
    }
}

#endif
