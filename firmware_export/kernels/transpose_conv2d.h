/* Transposed 2-D convolution, NHWC: each output gathers the inputs whose filters reach it. */
#ifndef EDGECNN_TRANSPOSE_CONV2D_H
#define EDGECNN_TRANSPOSE_CONV2D_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int8_t *weights;     /* [output_channels][kernel_height][kernel_width][input_channels] */
    const int32_t *bias;       /* [output_channels] */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t start_top, start_left; /* rows and columns that are cut off before the output */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_transpose_conv2d_params;

/* Products of one pixel and one column of a filter, over the channels. */
EDGECNN_INLINE int32_t edgecnn_transpose_conv2d_pixel(const edgecnn_transpose_conv2d_params *p,
                                                      const int8_t *pixel, const int8_t *weights) {
    int32_t sum = 0;
    for (int32_t c = 0; c < p->input_channels; ++c) {
        sum += ((int32_t)pixel[c] - p->input_zero_point) * weights[c];
    }
    return sum;
}

/* Along one row of the input, the pixels that reach output column x (before the cut). */
EDGECNN_INLINE int32_t edgecnn_transpose_conv2d_row(const edgecnn_transpose_conv2d_params *p,
                                                    const int8_t *row, const int8_t *weights,
                                                    int32_t x) {
    int32_t sum = 0;
    for (int32_t kx = x % p->stride_width; kx < p->kernel_width && kx <= x;
         kx += p->stride_width) {
        const int32_t ix = (x - kx) / p->stride_width;
        if (ix < p->input_width) {
            sum += edgecnn_transpose_conv2d_pixel(p, row + ix * p->input_channels,
                                                  weights + kx * p->input_channels);
        }
    }
    return sum;
}

EDGECNN_INLINE int32_t edgecnn_transpose_conv2d_sum(const edgecnn_transpose_conv2d_params *p,
                                                    const int8_t *input, const int8_t *filter,
                                                    int32_t y, int32_t x) {
    const int32_t input_row = p->input_width * p->input_channels;
    const int32_t filter_row = p->kernel_width * p->input_channels;
    int32_t sum = 0;
    for (int32_t ky = y % p->stride_height; ky < p->kernel_height && ky <= y;
         ky += p->stride_height) {
        const int32_t iy = (y - ky) / p->stride_height;
        if (iy < p->input_height) {
            sum += edgecnn_transpose_conv2d_row(p, input + iy * input_row,
                                                filter + ky * filter_row, x);
        }
    }
    return sum;
}

EDGECNN_FUNCTION void edgecnn_transpose_conv2d(const edgecnn_transpose_conv2d_params *p,
                                               const int8_t *input, int8_t *output) {
    const int32_t taps = p->kernel_height * p->kernel_width * p->input_channels;
    for (int32_t y = 0; y < p->output_height; ++y) {
        for (int32_t x = 0; x < p->output_width; ++x) {
            for (int32_t c = 0; c < p->output_channels; ++c) {
                const int32_t sum = edgecnn_transpose_conv2d_sum(
                    p, input, p->weights + c * taps, y + p->start_top, x + p->start_left);
                *output++ = edgecnn_requantize(sum + p->bias[c], p->multiplier[c], p->shift[c],
                                               p->output_zero_point, p->activation_min,
                                               p->activation_max);
            }
        }
    }
}

#endif
