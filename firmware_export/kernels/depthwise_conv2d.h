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

/* Add the products of one tap for n output channels from c on; pixel is NULL outside. */
EDGECNN_INLINE void edgecnn_depthwise_conv2d_tap(const edgecnn_depthwise_conv2d_params *p,
                                                 const int8_t *pixel, const int8_t *weights,
                                                 int32_t c, int32_t n, int32_t *sums) {
    if (pixel == NULL) {
        const int32_t zero_point = p->input_zero_point;
        for (int32_t i = 0; i < n; ++i) {
            sums[i] += zero_point * weights[c + i];
        }
    } else if (p->depth_multiplier == 1) {
        for (int32_t i = 0; i < n; ++i) {
            sums[i] += pixel[c + i] * weights[c + i];
        }
    } else {
        for (int32_t i = 0; i < n; ++i) {
            sums[i] += pixel[(c + i) / p->depth_multiplier] * weights[c + i];
        }
    }
}

/* The sums of n output channels from c on, under the window at (top, left). */
EDGECNN_INLINE void edgecnn_depthwise_conv2d_sums(const edgecnn_depthwise_conv2d_params *p,
                                                  const int8_t *input, int32_t top, int32_t left,
                                                  int32_t c, int32_t n, int32_t *sums) {
    const int8_t *weights = p->weights;
    for (int32_t i = 0; i < n; ++i) {
        sums[i] = 0;
    }
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
            const int32_t x = left + kx * p->dilation_width;
            const int32_t outside = y < 0 || y >= p->input_height || x < 0 || x >= p->input_width;
            const int8_t *pixel =
                outside ? NULL : input + (y * p->input_width + x) * p->input_channels;
            edgecnn_depthwise_conv2d_tap(p, pixel, weights, c, n, sums);
            weights += p->input_channels * p->depth_multiplier;
        }
    }
}

EDGECNN_FUNCTION void edgecnn_depthwise_conv2d(const edgecnn_depthwise_conv2d_params *p,
                                               const int8_t *input, int8_t *output) {
    const int32_t channels = p->input_channels * p->depth_multiplier;
    int32_t sums[EDGECNN_BLOCK];
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t c = 0; c < channels; c += EDGECNN_BLOCK) {
                const int32_t n = edgecnn_clamp(channels - c, 0, EDGECNN_BLOCK);
                edgecnn_depthwise_conv2d_sums(p, input, top, left, c, n, sums);
                edgecnn_requantize_channels(sums, p->bias + c, p->multiplier + c, p->shift + c,
                                            p->output_zero_point, p->activation_min,
                                            p->activation_max, n, output);
                output += n;
            }
        }
    }
}

#endif
