/* 2-D convolution, NHWC: one gathered patch of the image against each filter. */
#ifndef EDGECNN_CONV2D_H
#define EDGECNN_CONV2D_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int8_t *weights;     /* [output_channels][kernel_height][kernel_width][group_depth] */
    const int32_t *bias;       /* [output_channels], less zero point times sum of weights */
    const int32_t *multiplier; /* [output_channels] */
    const int8_t *shift;       /* [output_channels] */
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t groups;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_conv2d_params;

EDGECNN_INLINE int8_t *edgecnn_conv2d_fill(int8_t *to, int32_t value, int32_t n) {
    for (int32_t i = 0; i < n; ++i) {
        to[i] = (int8_t)value;
    }
    return to + n;
}

EDGECNN_INLINE int8_t *edgecnn_conv2d_copy(int8_t *to, const int8_t *from, int32_t n) {
    for (int32_t i = 0; i < n; ++i) {
        to[i] = from[i];
    }
    return to + n;
}

/* One row under the window, from column left on, where its pixels follow each other. */
EDGECNN_INLINE int8_t *edgecnn_conv2d_gather_run(const edgecnn_conv2d_params *p,
                                                 const int8_t *row, int32_t left, int8_t *patch) {
    const int32_t depth = p->input_channels;
    const int32_t begin = edgecnn_clamp(-left, 0, p->kernel_width);
    const int32_t end = edgecnn_clamp(p->input_width - left, begin, p->kernel_width);
    patch = edgecnn_conv2d_fill(patch, p->input_zero_point, begin * depth);
    if (begin < end) {
        patch = edgecnn_conv2d_copy(patch, row + (left + begin) * depth, (end - begin) * depth);
    }
    return edgecnn_conv2d_fill(patch, p->input_zero_point, (p->kernel_width - end) * depth);
}

/* One row under the window, pixel by pixel: dilated, or one group of the channels. */
EDGECNN_INLINE int8_t *edgecnn_conv2d_gather_taps(const edgecnn_conv2d_params *p,
                                                  const int8_t *row, int32_t left, int32_t depth,
                                                  int8_t *patch) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
        const int32_t x = left + kx * p->dilation_width;
        if (x < 0 || x >= p->input_width) {
            patch = edgecnn_conv2d_fill(patch, p->input_zero_point, depth);
        } else {
            patch = edgecnn_conv2d_copy(patch, row + x * p->input_channels, depth);
        }
    }
    return patch;
}

/* Copy the values under the window at (top, left) to patch; the zero point outside. */
EDGECNN_INLINE void edgecnn_conv2d_gather(const edgecnn_conv2d_params *p, const int8_t *input,
                                          int32_t top, int32_t left, int32_t depth,
                                          int8_t *patch) {
    const int32_t is_run = p->groups == 1 && p->dilation_width == 1;
    for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        if (y < 0 || y >= p->input_height) {
            patch = edgecnn_conv2d_fill(patch, p->input_zero_point, p->kernel_width * depth);
            continue;
        }
        const int8_t *row = input + y * p->input_width * p->input_channels;
        patch = is_run ? edgecnn_conv2d_gather_run(p, row, left, patch)
                       : edgecnn_conv2d_gather_taps(p, row, left, depth, patch);
    }
}

/* Dot products of one patch with four filters, which follow each other, at once. */
EDGECNN_INLINE void edgecnn_conv2d_dot4(const int8_t *filters, const int8_t *patch, int32_t n,
                                        int32_t sums[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t i = 0; i < n; ++i) {
        const int32_t x = patch[i];
        s0 += x * filters[i];
        s1 += x * filters[i + n];
        s2 += x * filters[i + 2 * n];
        s3 += x * filters[i + 3 * n];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* One patch against the filters from channel first up to end; writes one byte a filter. */
EDGECNN_INLINE int8_t *edgecnn_conv2d_filter(const edgecnn_conv2d_params *p, const int8_t *patch,
                                             int32_t taps, int32_t first, int32_t end,
                                             int8_t *output) {
    int32_t sums[EDGECNN_BLOCK];
    for (int32_t c = first; c < end; c += EDGECNN_BLOCK) {
        const int32_t n = edgecnn_clamp(end - c, 0, EDGECNN_BLOCK);
        const int8_t *filters = p->weights + c * taps;
        int32_t i = 0;
        for (; i + 4 <= n; i += 4) {
            edgecnn_conv2d_dot4(filters + i * taps, patch, taps, sums + i);
        }
        for (; i < n; ++i) {
            sums[i] = edgecnn_dot(filters + i * taps, patch, taps);
        }
        edgecnn_requantize_channels(sums, p->bias + c, p->multiplier + c, p->shift + c,
                                    p->output_zero_point, p->activation_min, p->activation_max, n,
                                    output);
        output += n;
    }
    return output;
}

/* patch: scratch of kernel_height * kernel_width * input_channels / groups bytes. */
EDGECNN_FUNCTION void edgecnn_conv2d(const edgecnn_conv2d_params *p, const int8_t *input,
                                     int8_t *patch, int8_t *output) {
    const int32_t depth = p->input_channels / p->groups;
    const int32_t filters = p->output_channels / p->groups;
    const int32_t taps = p->kernel_height * p->kernel_width * depth;
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        const int32_t top = oy * p->stride_height - p->pad_top;
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const int32_t left = ox * p->stride_width - p->pad_left;
            for (int32_t group = 0; group < p->groups; ++group) {
                edgecnn_conv2d_gather(p, input + group * depth, top, left, depth, patch);
                output = edgecnn_conv2d_filter(p, patch, taps, group * filters,
                                               (group + 1) * filters, output);
            }
        }
    }
}

#endif
