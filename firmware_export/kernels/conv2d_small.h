/* 2-D convolution for cores without DSP instructions: each filter with the patches of four pixels,
 * two of which share a multiplication. */
#ifndef EDGECNN_CONV2D_SMALL_H
#define EDGECNN_CONV2D_SMALL_H

#include "edgecnn_small_pixels.h"

typedef struct {
    const int16_t *weights;  /* [filters][pairs of taps], the first tap in the low byte */
    const int32_t *bias;     /* [filters], less zero point times sum of weights */
    const int32_t *scales;   /* [filters, or 1][...]: see edgecnn_small.h */
} edgecnn_conv2d_small_params;

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t pieces; /* of multipliers */
    int32_t per_channel;
} edgecnn_conv2d_small_shape;

/* Join n values each of two pixels, as taps from a number on; the number after the last one. */
EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_small_run(const int8_t *a, const int8_t *b, int32_t n,
                                                     uint32_t *columns, int32_t tap) {
    const int32_t end = tap + n;
    if (tap % 2 != 0 && n > 0) {
        *edgecnn_small_word(columns, tap++) = edgecnn_small_join(*a++, *b++);
    }
    uint32_t *to = edgecnn_small_word(columns, tap);
#pragma GCC unroll 2
    for (int32_t i = (end - tap) / 2; i > 0; --i) {
        to[0] = edgecnn_small_join(a[0], b[0]);
        to[1] = edgecnn_small_join(a[1], b[1]);
        a += 2;
        b += 2;
        to += 4;
    }
    if ((end - tap) % 2 != 0) {
        *to = edgecnn_small_join(*a, *b);
    }
    return end;
}

/* A pixel of a row, or zero points where there is none. */
EDGECNN_SPECIALIZED const int8_t *
edgecnn_conv2d_small_pixel(const edgecnn_conv2d_small_shape *s, const int8_t *input,
                           const int8_t *zeros, int32_t y, int32_t x) {
    if (y < 0 || y >= s->input_height || x < 0 || x >= s->input_width) {
        return zeros;
    }
    return input + (y * s->input_width + x) * s->input_channels;
}

/* Where a window begins. */
typedef struct {
    int32_t top, left;
} edgecnn_conv2d_small_corner;

EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_small_is_inside(const edgecnn_conv2d_small_shape *s,
                                                           edgecnn_conv2d_small_corner at) {
    const int32_t down = (s->kernel_height - 1) * s->dilation_height;
    const int32_t right = (s->kernel_width - 1) * s->dilation_width;
    return at.top >= 0 && at.top + down < s->input_height && at.left >= 0 &&
           at.left + right < s->input_width;
}

/* Join the patches under two windows. Rows of windows that are inside the image are one run. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_small_gather(const edgecnn_conv2d_small_shape *s,
                                                     const int8_t *input, const int8_t *zeros,
                                                     edgecnn_conv2d_small_corner a,
                                                     edgecnn_conv2d_small_corner b,
                                                     uint32_t *columns) {
    const int32_t are_runs = s->dilation_width == 1 && edgecnn_conv2d_small_is_inside(s, a) &&
                             edgecnn_conv2d_small_is_inside(s, b);
    const int32_t step = are_runs ? s->kernel_width : 1;
    int32_t tap = 0;
#pragma GCC unroll 1
    for (int32_t ky = 0; ky < s->kernel_height; ++ky) {
        const int32_t y = ky * s->dilation_height;
#pragma GCC unroll 1
        for (int32_t kx = 0; kx < s->kernel_width; kx += step) {
            const int32_t x = kx * s->dilation_width;
            tap = edgecnn_conv2d_small_run(
                edgecnn_conv2d_small_pixel(s, input, zeros, a.top + y, a.left + x),
                edgecnn_conv2d_small_pixel(s, input, zeros, b.top + y, b.left + x),
                step * s->input_channels, columns, tap);
        }
    }
}

/* All filters, for a block of four pixels. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_small_filters(const edgecnn_conv2d_small_shape *s,
                                                      const edgecnn_conv2d_small_params *p,
                                                      const uint32_t *columns, int32_t taps,
                                                      int8_t *output) {
    const edgecnn_small_range range = {s->pieces, s->output_zero_point != -128, s->activation_min,
                                       s->activation_max};
    const int32_t skipped = -taps & (EDGECNN_SMALL_TURN_TAPS - 1);
    edgecnn_small_block block;
    block.columns = columns;
    block.weights = p->weights;
    block.taps = taps;
    block.entry = skipped * EDGECNN_SMALL_TAP_CODE;
    block.skipped = skipped;
    block.bias = p->bias;
    block.scale = p->scales;
    block.scale_step = 4 * s->per_channel * edgecnn_small_words(s->pieces);
    block.output = output;
    block.output_step = s->output_channels;
    block.output_end = output + s->output_channels;
    edgecnn_small_filters(&block, range);
}

/* Join the patches of four pixels from one on, the last one again where there are fewer. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_small_block(const edgecnn_conv2d_small_shape *s,
                                                    const int8_t *input, const int8_t *zeros,
                                                    int32_t oy, int32_t ox, uint32_t *columns) {
    edgecnn_conv2d_small_corner corners[EDGECNN_SMALL_PIXELS];
#pragma GCC unroll 1
    for (int32_t i = 0; i < EDGECNN_SMALL_PIXELS; ++i) {
        corners[i].top = oy * s->stride_height - s->pad_top;
        corners[i].left = ox * s->stride_width - s->pad_left;
        if (ox + 1 < s->output_width) {
            ++ox;
        } else if (oy + 1 < s->output_height) {
            ox = 0;
            ++oy;
        }
    }
#pragma GCC unroll 1
    for (int32_t i = 0; i < EDGECNN_SMALL_PIXELS; i += 2) {
        edgecnn_conv2d_small_gather(s, input, zeros, corners[i], corners[i + 1], columns + i);
    }
}

/* scratch: columns of four pixels, 8 bytes a tap; the zero points of a pixel; and room for the
 * outputs of four pixels, where the image has fewer. Where its pixels are no number of fours, the
 * last block computes some of them again. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_small(const edgecnn_conv2d_small_shape *s,
                                              const edgecnn_conv2d_small_params *p,
                                              const int8_t *input, int8_t *scratch,
                                              int8_t *output) {
    const int32_t all = s->kernel_height * s->kernel_width * s->input_channels;
    const int32_t taps = all + all % 2;
    const int32_t count = s->output_height * s->output_width;
    const int32_t last = count - EDGECNN_SMALL_PIXELS;
    uint32_t *const columns = (uint32_t *)(void *)scratch;
    int8_t *const zeros = scratch + 8 * taps;
    for (int32_t i = 0; i < s->input_channels; ++i) {
        zeros[i] = (int8_t)s->input_zero_point;
    }
    columns[2 * taps - 3] = columns[2 * taps - 1] = 0; /* a tap that fills up the last pair */
    if (last < 0) {
        int8_t *const room = zeros + s->input_channels;
        edgecnn_conv2d_small_block(s, input, zeros, 0, 0, columns);
        edgecnn_conv2d_small_filters(s, p, columns, taps, room);
        for (int32_t i = 0; i < count * s->output_channels; ++i) {
            output[i] = room[i];
        }
        return;
    }
    int32_t oy = 0, ox = 0;
#pragma GCC unroll 1
    for (int32_t pixel = 0; pixel < count; pixel += EDGECNN_SMALL_PIXELS) {
        if (pixel > last) {
            pixel = last;
            oy = last / s->output_width;
            ox = last % s->output_width;
        }
        edgecnn_conv2d_small_block(s, input, zeros, oy, ox, columns);
        edgecnn_conv2d_small_filters(s, p, columns, taps, output + pixel * s->output_channels);
        for (ox += EDGECNN_SMALL_PIXELS; ox >= s->output_width; ox -= s->output_width) {
            ++oy;
        }
    }
}

#endif
