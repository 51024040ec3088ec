/* 2-D convolution, NHWC, of int16 images with int8 filters: row by row under the window. */
#ifndef EDGECNN_CONV2D_INT16_H
#define EDGECNN_CONV2D_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights;     /* [output_channels][kernel_height][kernel_width][group_depth] */
    const int64_t *bias;       /* [output_channels] */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t groups;
    int32_t has_32_bit_sums;
    int32_t activation_min, activation_max;
} edgecnn_conv2d_int16_params;

/* One row of a filter against one row of the image, from column left on. */
EDGECNN_INLINE int64_t edgecnn_conv2d_int16_row(const edgecnn_conv2d_int16_params *p,
                                                const int8_t *filter, const int16_t *row,
                                                int32_t left, int32_t depth) {
    int64_t sum = 0;
    if (p->groups == 1 && p->dilation_width == 1) { /* pixels follow each other */
        const int32_t begin = edgecnn_clamp(-left, 0, p->kernel_width);
        const int32_t end = edgecnn_clamp(p->input_width - left, begin, p->kernel_width);
        if (begin < end) {
            sum = edgecnn_wide_dot(filter + begin * depth, row + (left + begin) * depth,
                                   (end - begin) * depth);
        }
        return sum;
    }
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
        const int32_t x = left + kx * p->dilation_width;
        if (x >= 0 && x < p->input_width) {
            sum += edgecnn_wide_dot(filter + kx * depth, row + x * p->input_channels, depth);
        }
    }
    return sum;
}

/* One filter on the window at (top, left); input begins at the first channel of its group. */
EDGECNN_INLINE int64_t edgecnn_conv2d_int16_window(const edgecnn_conv2d_int16_params *p,
                                                   const int8_t *filter, const int16_t *input,
                                                   int32_t top, int32_t left, int32_t depth) {
    int64_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        if (y >= 0 && y < p->input_height) {
            const int16_t *row = input + y * p->input_width * p->input_channels;
            sum += edgecnn_conv2d_int16_row(p, filter, row, left, depth);
        }
        filter += p->kernel_width * depth;
    }
    return sum;
}

EDGECNN_FUNCTION void edgecnn_conv2d_int16(const edgecnn_conv2d_int16_params *p,
                                           const int16_t *input, int16_t *output) {
    const int32_t depth = p->input_channels / p->groups;
    const int32_t filters = p->output_channels / p->groups;
    const int32_t taps = p->kernel_height * p->kernel_width * depth;
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t c = 0; c < p->output_channels; ++c) {
                const int16_t *first = input + c / filters * depth;
                const int64_t sum = p->bias[c] + edgecnn_conv2d_int16_window(
                                                     p, p->weights + c * taps, first, top, left,
                                                     depth);
                *output++ = edgecnn_wide_output(sum, p->multiplier[c], p->shift[c],
                                                p->has_32_bit_sums, p->activation_min,
                                                p->activation_max);
            }
        }
    }
}

#endif
