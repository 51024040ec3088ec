/* 2-D depthwise convolution, NHWC, of int16 images with int8 filters. */
#ifndef EDGECNN_DEPTHWISE_CONV2D_INT16_H
#define EDGECNN_DEPTHWISE_CONV2D_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights; /* [kernel_height][kernel_width][input_channels][depth_multiplier] */
    edgecnn_wide_channels channels;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, depth_multiplier;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
} edgecnn_depthwise_conv2d_int16_params;

/* Rows, or columns, of a window that lie inside of the image. */
typedef struct {
    int32_t begin, end;
} edgecnn_taps_inside;

EDGECNN_INLINE edgecnn_taps_inside edgecnn_inside(int32_t start, int32_t dilation, int32_t taps,
                                                  int32_t size) {
    edgecnn_taps_inside inside = {0, 0};
    while (inside.begin < taps && start + inside.begin * dilation < 0) {
        ++inside.begin;
    }
    inside.end = inside.begin;
    while (inside.end < taps && start + inside.end * dilation < size) {
        ++inside.end;
    }
    return inside;
}

/* All channels under the window at (top, left). */
EDGECNN_INLINE int16_t *
edgecnn_depthwise_conv2d_int16_pixel(const edgecnn_depthwise_conv2d_int16_params *p,
                                     const int16_t *input, int32_t top, int32_t left,
                                     int16_t *output) {
    const edgecnn_wide_channels *const q = &p->channels;
    const int32_t channels = p->input_channels * p->depth_multiplier;
    const edgecnn_taps_inside rows =
        edgecnn_inside(top, p->dilation_height, p->kernel_height, p->input_height);
    const edgecnn_taps_inside columns =
        edgecnn_inside(left, p->dilation_width, p->kernel_width, p->input_width);
    for (int32_t c = 0; c < channels; ++c) {
        int64_t sum = q->bias[c];
        for (int32_t ky = rows.begin; ky < rows.end; ++ky) {
            const int32_t y = top + ky * p->dilation_height;
            for (int32_t kx = columns.begin; kx < columns.end; ++kx) {
                const int32_t x = left + kx * p->dilation_width;
                const int32_t pixel = (y * p->input_width + x) * p->input_channels;
                const int32_t weight = p->weights[(ky * p->kernel_width + kx) * channels + c];
                sum += weight * input[pixel + c / p->depth_multiplier];
            }
        }
        *output++ = edgecnn_wide_output(sum, q->multiplier[c], q->shift[c], q->has_32_bit_sums,
                                        q->activation_min, q->activation_max);
    }
    return output;
}

EDGECNN_FUNCTION void
edgecnn_depthwise_conv2d_int16(const edgecnn_depthwise_conv2d_int16_params *p,
                               const int16_t *input, int16_t *output) {
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            output = edgecnn_depthwise_conv2d_int16_pixel(p, input, top, left, output);
        }
    }
}

#endif
