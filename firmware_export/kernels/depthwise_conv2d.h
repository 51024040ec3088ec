/* 2-D depthwise convolution, NHWC: each channel has filters of its own. */
#ifndef EDGECNN_DEPTHWISE_CONV2D_H
#define EDGECNN_DEPTHWISE_CONV2D_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int8_t *weights;     /* [kernel_height][kernel_width][input_channels][depth_multiplier] */
    const int32_t *bias;       /* [output_channels], less zero point times sum of weights */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, depth_multiplier;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_depthwise_conv2d_params;

/* Sum of the products under the window at (top, left) for one output channel. */
EDGECNN_INLINE int32_t edgecnn_depthwise_conv2d_sum(const edgecnn_depthwise_conv2d_params *p,
                                                    const int8_t *channel, const int8_t *weights,
                                                    int32_t top, int32_t left) {
    const int32_t outputs = p->input_channels * p->depth_multiplier;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
            const int32_t x = left + kx * p->dilation_width;
            const int32_t outside = y < 0 || y >= p->input_height || x < 0 || x >= p->input_width;
            const int32_t value = outside
                                      ? p->input_zero_point
                                      : channel[(y * p->input_width + x) * p->input_channels];
            sum += value * *weights;
            weights += outputs;
        }
    }
    return sum;
}

EDGECNN_FUNCTION void edgecnn_depthwise_conv2d(const edgecnn_depthwise_conv2d_params *p,
                                               const int8_t *input, int8_t *output) {
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t channel = 0; channel < p->input_channels; ++channel) {
                for (int32_t m = 0; m < p->depth_multiplier; ++m) {
                    const int32_t c = channel * p->depth_multiplier + m;
                    const int32_t sum = p->bias[c] + edgecnn_depthwise_conv2d_sum(
                                                         p, input + channel, p->weights + c, top,
                                                         left);
                    *output++ = edgecnn_requantize(sum, p->multiplier[c], p->shift[c],
                                                   p->output_zero_point, p->activation_min,
                                                   p->activation_max);
                }
            }
        }
    }
}

#endif
