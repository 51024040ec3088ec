/* 2-D convolution as a product of matrices: patches of two pixels, widened to int16, with blocks
 * of four filters. */
#ifndef EDGECNN_CONV2D_BLOCKED_H
#define EDGECNN_CONV2D_BLOCKED_H

#include "edgecnn_block.h"

typedef struct {
    const int8_t *weights;   /* [filters / 4][pairs of taps][2][4], filled up with zeros */
    const int32_t *channels; /* [filters, filled up to fours][3]: see edgecnn_dsp.h */
} edgecnn_conv2d_blocked_params;

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t pairs;    /* of the taps of a patch: each run of them is filled up to pairs */
    int32_t is_joint; /* see edgecnn_block.h */
} edgecnn_conv2d_blocked_shape;

/* Bytes from one word of a column to the next: two columns alternate. */
enum { EDGECNN_COLUMN_STEP = 8 };

/* Widen a run of n bytes: words in the order of SXTB16 (0, 2), (1, 3), then pairs as they are. */
EDGECNN_SPECIALIZED int8_t *edgecnn_widen(const int8_t *from, int32_t n, int8_t *to) {
    for (int32_t i = n / 4; i > 0; --i) {
        const uint32_t word = edgecnn_load(from);
        edgecnn_store(to, edgecnn_sxtb16(word));
        edgecnn_store(to + EDGECNN_COLUMN_STEP, edgecnn_sxtb16_ror8(word));
        from += 4;
        to += 2 * EDGECNN_COLUMN_STEP;
    }
    if (n % 4 >= 2) {
        edgecnn_store(to, edgecnn_pair(from[0], from[1]));
        from += 2;
        to += EDGECNN_COLUMN_STEP;
    }
    if (n % 2 == 1) {
        edgecnn_store(to, edgecnn_pair(from[0], 0));
        to += EDGECNN_COLUMN_STEP;
    }
    return to;
}

EDGECNN_SPECIALIZED int8_t *edgecnn_fill_pairs(int8_t *to, int32_t value, int32_t n) {
    for (int32_t i = n; i > 0; --i) {
        edgecnn_store(to, edgecnn_pair(value, value));
        to += EDGECNN_COLUMN_STEP;
    }
    return to;
}

/* Pairs that a run of taps takes. */
EDGECNN_SPECIALIZED int32_t edgecnn_pairs_of(int32_t n) { return (n + 1) / 2; }

/* A row under the window in one run, for windows whose pixels follow each other and are all in
 * the image; else a run for each pixel would order the taps in another way, so that rows at the
 * sides are put together in a buffer of bytes first. */
EDGECNN_SPECIALIZED int8_t *edgecnn_conv2d_blocked_row(const edgecnn_conv2d_blocked_shape *s,
                                                       const int8_t *row, int32_t left,
                                                       int8_t *bytes, int8_t *to) {
    const int32_t depth = s->input_channels, n = s->kernel_width * depth;
    const int32_t reach = (s->kernel_width - 1) * s->dilation_width;
    if (s->dilation_width == 1 && left >= 0 && left + reach < s->input_width) {
        return edgecnn_widen(row + left * depth, n, to);
    }
    int8_t *byte = bytes;
    for (int32_t kx = 0; kx < s->kernel_width; ++kx) {
        const int32_t x = left + kx * s->dilation_width;
        const int32_t is_inside = x >= 0 && x < s->input_width;
        for (int32_t i = 0; i < depth; ++i) {
            *byte++ = is_inside ? row[x * depth + i] : (int8_t)s->input_zero_point;
        }
    }
    return edgecnn_widen(bytes, n, to);
}

/* Widen the patch under the window at (top, left) into one of two columns. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_blocked_gather(const edgecnn_conv2d_blocked_shape *s,
                                                       const int8_t *input, int32_t top,
                                                       int32_t left, int8_t *bytes, int8_t *to) {
    const int32_t n = s->kernel_width * s->input_channels;
    for (int32_t ky = 0; ky < s->kernel_height; ++ky) {
        const int32_t y = top + ky * s->dilation_height;
        if (y < 0 || y >= s->input_height) {
            to = edgecnn_fill_pairs(to, s->input_zero_point, edgecnn_pairs_of(n));
        } else {
            const int8_t *row = input + y * s->input_width * s->input_channels;
            to = edgecnn_conv2d_blocked_row(s, row, left, bytes, to);
        }
    }
}

/* The outputs of one filter for two pixels. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_blocked_put(const edgecnn_conv2d_blocked_shape *s,
                                                    int32_t first, int32_t second,
                                                    const int32_t *channel, int8_t *to_first,
                                                    int8_t *to_second) {
    const int32_t multiplier = channel[EDGECNN_MULTIPLIER], shift = channel[EDGECNN_SHIFT];
    *to_first = edgecnn_requantize_doubled(first, multiplier, shift, s->output_zero_point,
                                           s->activation_min, s->activation_max);
    *to_second = edgecnn_requantize_doubled(second, multiplier, shift, s->output_zero_point,
                                            s->activation_min, s->activation_max);
}

/* Four filters, or the n that are left, for two pixels. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_blocked_block(const edgecnn_conv2d_blocked_shape *s,
                                                      const int8_t *weights,
                                                      const int32_t *channels, const int8_t *x,
                                                      int32_t n, int8_t *first, int8_t *second) {
    enum { N = EDGECNN_CHANNEL_WORDS };
    const int32_t is_joint = s->is_joint;
    const edgecnn_sums_4x2 sums = edgecnn_block_4x2(weights, x, s->pairs, is_joint, channels);
    edgecnn_conv2d_blocked_put(s, edgecnn_even_doubled(sums.a0), edgecnn_even_doubled(sums.a1),
                               channels, first, second);
    if (n > 1) {
        edgecnn_conv2d_blocked_put(s, edgecnn_odd_doubled(sums.a0, is_joint),
                                   edgecnn_odd_doubled(sums.a1, is_joint), channels + N,
                                   first + 1, second + 1);
    }
    if (n > 2) {
        edgecnn_conv2d_blocked_put(s, edgecnn_even_doubled(sums.b0),
                                   edgecnn_even_doubled(sums.b1), channels + 2 * N, first + 2,
                                   second + 2);
    }
    if (n > 3) {
        edgecnn_conv2d_blocked_put(s, edgecnn_odd_doubled(sums.b0, is_joint),
                                   edgecnn_odd_doubled(sums.b1, is_joint), channels + 3 * N,
                                   first + 3, second + 3);
    }
}

/* All filters for two pixels. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_blocked_filter(const edgecnn_conv2d_blocked_shape *s,
                                                       const edgecnn_conv2d_blocked_params *p,
                                                       const int8_t *x, int8_t *first,
                                                       int8_t *second) {
    const int32_t rest = s->output_channels % EDGECNN_ROWS;
    const int8_t *weights = p->weights;
    const int32_t *channels = p->channels;
    for (int32_t c = rest; c < s->output_channels; c += EDGECNN_ROWS) {
        edgecnn_conv2d_blocked_block(s, weights, channels, x, EDGECNN_ROWS, first, second);
        weights += s->pairs * EDGECNN_PAIR_BYTES;
        channels += EDGECNN_ROWS * EDGECNN_CHANNEL_WORDS;
        first += EDGECNN_ROWS;
        second += EDGECNN_ROWS;
    }
    if (rest != 0) {
        edgecnn_conv2d_blocked_block(s, weights, channels, x, rest, first, second);
    }
}

/* scratch: two columns of pairs, and the bytes of a row under the window or of a pixel. The last
 * of an odd number of pixels comes with one that nobody asked for, written there. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_blocked(const edgecnn_conv2d_blocked_shape *s,
                                                const edgecnn_conv2d_blocked_params *p,
                                                const int8_t *input, int8_t *scratch,
                                                int8_t *output) {
    const int32_t count = s->output_height * s->output_width;
    int8_t *const bytes = scratch + s->pairs * EDGECNN_COLUMN_STEP;
    int32_t oy = 0, ox = 0;
    for (int32_t pixel = 0; pixel < count; pixel += 2) {
        for (int32_t i = 0; i < 2; ++i) {
            if (pixel + i < count) {
                edgecnn_conv2d_blocked_gather(s, input, oy * s->stride_height - s->pad_top,
                                              ox * s->stride_width - s->pad_left, bytes,
                                              scratch + 4 * i);
            }
            if (++ox == s->output_width) {
                ox = 0;
                ++oy;
            }
        }
        int8_t *const next = output + s->output_channels;
        const int32_t is_last = count % 2 != 0 && pixel + 1 == count;
        edgecnn_conv2d_blocked_filter(s, p, scratch, output, is_last ? bytes : next);
        output = next + s->output_channels;
    }
}

#endif
