/* 2-D depthwise convolution, NHWC, of int16 images with int8 filters. */
#ifndef EDGECNN_DEPTHWISE_CONV2D_INT16_H
#define EDGECNN_DEPTHWISE_CONV2D_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights;     /* [kernel_height][kernel_width][input_channels][depth_multiplier] */
    const int64_t *bias;       /* [output_channels] */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, depth_multiplier;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t has_32_bit_sums;
    int32_t activation_min, activation_max;
} edgecnn_depthwise_conv2d_int16_params;

/* The sum of output channel c under the window at (top, left). */
EDGECNN_INLINE int64_t
edgecnn_depthwise_conv2d_int16_sum(const edgecnn_depthwise_conv2d_int16_params *p,
                                   const int16_t *input, int32_t top, int32_t left, int32_t c) {
    const int32_t channels = p->input_channels * p->depth_multiplier;
    const int16_t *const first = input + c / p->depth_multiplier;
    const int8_t *weight = p->weights + c;
    int64_t sum = p->bias[c];
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
            const int32_t x = left + kx * p->dilation_width;
            if (y >= 0 && y < p->input_height && x >= 0 && x < p->input_width) {
                sum += (int32_t)*weight * first[(y * p->input_width + x) * p->input_channels];
            }
            weight += channels;
        }
    }
    return sum;
}

EDGECNN_FUNCTION void
edgecnn_depthwise_conv2d_int16(const edgecnn_depthwise_conv2d_int16_params *p,
                               const int16_t *input, int16_t *output) {
    const int32_t channels = p->input_channels * p->depth_multiplier;
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t c = 0; c < channels; ++c) {
                const int64_t sum = edgecnn_depthwise_conv2d_int16_sum(p, input, top, left, c);
                *output++ = edgecnn_wide_output(sum, p->multiplier[c], p->shift[c],
                                                p->has_32_bit_sums, p->activation_min,
                                                p->activation_max);
            }
        }
    }
}

#endif
