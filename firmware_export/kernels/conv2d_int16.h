/* 2-D convolution, NHWC, of int16 images with int8 filters: one gathered patch at a time. */
#ifndef EDGECNN_CONV2D_INT16_H
#define EDGECNN_CONV2D_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights; /* [output_channels][kernel_height][kernel_width][group_depth] */
    edgecnn_wide_channels channels;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t groups;
} edgecnn_conv2d_int16_params;

/* Copy the values under the window at (top, left), depth of each pixel, to patch; 0 outside. */
EDGECNN_INLINE void edgecnn_conv2d_int16_gather(const edgecnn_conv2d_int16_params *p,
                                                const int16_t *input, int32_t top, int32_t left,
                                                int32_t depth, int16_t *patch) {
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
            const int32_t x = left + kx * p->dilation_width;
            if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
                for (int32_t i = 0; i < depth; ++i) {
                    patch[i] = 0;
                }
            } else {
                const int16_t *pixel = input + (y * p->input_width + x) * p->input_channels;
                for (int32_t i = 0; i < depth; ++i) {
                    patch[i] = pixel[i];
                }
            }
            patch += depth;
        }
    }
}

/* scratch: kernel_height * kernel_width * input_channels / groups values. */
EDGECNN_FUNCTION void edgecnn_conv2d_int16(const edgecnn_conv2d_int16_params *p,
                                           const int16_t *input, int8_t *scratch,
                                           int16_t *output) {
    int16_t *const patch = (int16_t *)(void *)scratch; /* aligned, as all of the arena */
    const int32_t depth = p->input_channels / p->groups;
    const int32_t filters = p->output_channels / p->groups;
    const int32_t taps = p->kernel_height * p->kernel_width * depth;
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t group = 0; group < p->groups; ++group) {
                edgecnn_conv2d_int16_gather(p, input + group * depth, top, left, depth, patch);
                output = edgecnn_wide_filter(&p->channels, p->weights, patch, taps,
                                             group * filters, (group + 1) * filters, output);
            }
        }
    }
}

#endif
