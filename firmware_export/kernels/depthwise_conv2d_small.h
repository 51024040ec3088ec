/* 3 x 3 depthwise convolution for cores without DSP instructions: channel by channel over a plane
 * in scratch, whose words hold a pixel of the upper and one of the lower half of the image. */
#ifndef EDGECNN_DEPTHWISE_CONV2D_SMALL_H
#define EDGECNN_DEPTHWISE_CONV2D_SMALL_H

#include "edgecnn_small_windows.h"

typedef struct {
    const int8_t *weights; /* [input_channels * depth_multiplier][kernel_width][kernel_height] */
    const int32_t *bias;   /* [channels], less zero point times sum of weights */
    const int32_t *scales; /* [channels, or 1][...]: see edgecnn_small.h */
} edgecnn_depthwise_conv2d_small_params;

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, depth_multiplier;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t pieces; /* of multipliers */
    int32_t per_channel;
    int32_t band; /* rows of a half, at most, that are in scratch at a time */
} edgecnn_depthwise_conv2d_small_shape;

/* Join two columns of n rows from y and from y + lower on, with zero points outside the image. */
EDGECNN_SPECIALIZED uint32_t *
edgecnn_depthwise_conv2d_small_column(const edgecnn_depthwise_conv2d_small_shape *s,
                                      const int8_t *column, int32_t y, int32_t lower, int32_t n,
                                      uint32_t *to) {
    const int32_t row = s->input_width * s->input_channels;
    const int8_t *at = column + y * row;
    for (int32_t end = y + n; y < end; ++y) {
        int32_t a = s->input_zero_point, b = s->input_zero_point;
        if (y >= 0 && y < s->input_height) {
            a = *at;
        }
        if (y + lower >= 0 && y + lower < s->input_height) {
            b = at[lower * row];
        }
        *to++ = edgecnn_small_join(a, b);
        at += row;
    }
    return to;
}

/* The plane of one channel, from a row of the input on. */
EDGECNN_SPECIALIZED void
edgecnn_depthwise_conv2d_small_gather(const edgecnn_depthwise_conv2d_small_shape *s,
                                      const int8_t *channel, int32_t top, int32_t lower, int32_t n,
                                      uint32_t *to) {
    const int32_t width = (s->output_width - 1) * s->stride_width + s->kernel_width;
#pragma GCC unroll 1
    for (int32_t i = 0; i < width; ++i) {
        const int32_t x = i - s->pad_left;
        if (x >= 0 && x < s->input_width) {
            to = edgecnn_depthwise_conv2d_small_column(s, channel + x * s->input_channels, top,
                                                       lower, n, to);
        } else {
            for (int32_t j = n; j > 0; --j) {
                *to++ = edgecnn_small_join(s->input_zero_point, s->input_zero_point);
            }
        }
    }
}

/* Output rows from oy on, and as many from oy + lower on, of all channels. */
EDGECNN_SPECIALIZED void
edgecnn_depthwise_conv2d_small_band(const edgecnn_depthwise_conv2d_small_shape *s,
                                    const edgecnn_depthwise_conv2d_small_params *p,
                                    const int8_t *input, int32_t oy, int32_t lower, int32_t rows,
                                    int8_t *scratch, int8_t *output) {
    const edgecnn_small_range range = {s->pieces, s->output_zero_point != -128, s->activation_min,
                                       s->activation_max};
    const int32_t n = (rows - 1) * s->stride_height + s->kernel_height;
    const int32_t channels = s->input_channels * s->depth_multiplier;
    const int32_t row = s->output_width * channels;
    int32_t *const sums = (int32_t *)(void *)scratch;
    uint32_t *const columns = (uint32_t *)(void *)(scratch + 8 * s->band);
    const int8_t *weights = p->weights;
    edgecnn_small_plane plane;
    plane.column_step = 4 * n * s->stride_width;
    plane.column_bytes = 4 * n - 12;
    plane.row_step = 4 * s->stride_height - 8 * n - 12;
    plane.sums = sums;
    plane.sums_end = sums + 2 * rows;
    plane.output_step = channels;
    plane.output_row = row;
    plane.lower = lower * row;
    output += oy * row;
#pragma GCC unroll 1
    for (int32_t c = 0; c < channels; ++c) {
        if (c % s->depth_multiplier == 0) {
            edgecnn_depthwise_conv2d_small_gather(s, input + c / s->depth_multiplier,
                                                  oy * s->stride_height - s->pad_top,
                                                  lower * s->stride_height, n, columns);
        }
#pragma GCC unroll 1
        for (int32_t i = 0; i < 9; ++i) {
            plane.weights[i] = *weights++;
        }
        plane.column = columns;
        plane.scale = p->scales + c * s->per_channel * edgecnn_small_words(s->pieces);
        plane.bias = p->bias[c];
        plane.output = output + c;
        plane.output_end = plane.output + row;
        edgecnn_small_windows(&plane, range);
    }
}

/* scratch: sums of a column of windows, and the plane of a channel.
 *
 * The image is cut into bands, and each band into an upper and a lower half; where rows do not
 * come out even, the last ones are computed twice. */
EDGECNN_SPECIALIZED void
edgecnn_depthwise_conv2d_small(const edgecnn_depthwise_conv2d_small_shape *s,
                               const edgecnn_depthwise_conv2d_small_params *p, const int8_t *input,
                               int8_t *scratch, int8_t *output) {
    const int32_t band = edgecnn_clamp(s->output_height, 0, 2 * s->band);
    const int32_t rows = (band + 1) / 2;
#pragma GCC unroll 1
    for (int32_t oy = 0; oy < s->output_height; oy += band) {
        const int32_t from = edgecnn_clamp(oy, 0, s->output_height - band);
        edgecnn_depthwise_conv2d_small_band(s, p, input, from, band - rows, rows, scratch, output);
    }
}

#endif
