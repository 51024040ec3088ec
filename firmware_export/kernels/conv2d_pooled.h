/* 2-D convolution and the maximum over windows of what it gives, which is never stored: the
 * maximum is taken of the sums, and requantized once. */
#ifndef EDGECNN_CONV2D_POOLED_H
#define EDGECNN_CONV2D_POOLED_H

#include "edgecnn_conv2d_blocked.h"
#include "edgecnn_window.h"

typedef edgecnn_conv2d_blocked_params edgecnn_conv2d_pooled_params;

typedef struct {
    edgecnn_conv2d_blocked_shape conv; /* with the limits of both layers */
    edgecnn_pool_params pool;
} edgecnn_conv2d_pooled_shape;

/* The patch of one position. Most are inside of the image and contiguous, row by row: there is
 * nothing to ask for each row then. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_patch(const edgecnn_conv2d_blocked_shape *s,
                                                     const int8_t *input, int32_t top,
                                                     int32_t left, int8_t *bytes, int8_t *to) {
    const int32_t n = s->kernel_width * s->input_channels;
    const int32_t row_bytes = s->input_width * s->input_channels;
    const int32_t is_inside = top >= 0 && left >= 0 &&
                              top + (s->kernel_height - 1) * s->dilation_height < s->input_height &&
                              left + s->kernel_width <= s->input_width;
    if (s->dilation_width != 1 || !is_inside) {
        edgecnn_conv2d_blocked_gather(s, input, top, left, bytes, to);
        return;
    }
    const int8_t *row = input + top * row_bytes + left * s->input_channels;
    for (int32_t ky = s->kernel_height; ky > 0; --ky) {
        to = edgecnn_widen(row, n, to);
        row += s->dilation_height * row_bytes;
    }
}

/* Widen the patch of each position in a window, two side by side. Returns how many twos there are:
 * the last of an odd number of positions is in both columns. */
EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_pooled_gather(const edgecnn_conv2d_pooled_shape *s,
                                                         const int8_t *input, edgecnn_window w,
                                                         int8_t *bytes, int8_t *columns) {
    const edgecnn_conv2d_blocked_shape *const conv = &s->conv;
    const int32_t column_bytes = conv->pairs * EDGECNN_COLUMN_STEP;
    int32_t count = 0;
    for (int32_t y = w.y_begin; y < w.y_end; ++y) {
        for (int32_t x = w.x_begin; x < w.x_end; ++x) {
            edgecnn_conv2d_pooled_patch(conv, input, y * conv->stride_height - conv->pad_top,
                                        x * conv->stride_width - conv->pad_left, bytes,
                                        columns + count / 2 * column_bytes + count % 2 * 4);
            ++count;
        }
    }
    if (count % 2 != 0) {
        int8_t *last = columns + count / 2 * column_bytes;
        for (int32_t i = conv->pairs; i > 0; --i) {
            edgecnn_store(last + 4, edgecnn_load(last));
            last += EDGECNN_COLUMN_STEP;
        }
    }
    return (count + 1) / 2;
}

EDGECNN_SPECIALIZED int32_t edgecnn_larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* An odd row's sum, with 256 in front if joint. */
EDGECNN_SPECIALIZED int32_t edgecnn_odd_scaled(edgecnn_sums sums, int32_t is_joint) {
    return is_joint ? (int32_t)((uint32_t)sums.odd - (uint32_t)sums.even) : sums.odd;
}

/* The largest sums of two rows at two positions, and those that there were. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_keep(edgecnn_sums first, edgecnn_sums second,
                                                    int32_t is_joint, edgecnn_sums *largest) {
    const int32_t even = edgecnn_larger(first.even, second.even);
    const int32_t odd = edgecnn_larger(edgecnn_odd_scaled(first, is_joint),
                                       edgecnn_odd_scaled(second, is_joint));
    largest->even = edgecnn_larger(largest->even, even);
    largest->odd = edgecnn_larger(largest->odd, odd);
}

EDGECNN_SPECIALIZED int8_t edgecnn_conv2d_pooled_byte(const edgecnn_conv2d_blocked_shape *s,
                                                      int32_t doubled, const int32_t *channel) {
    return edgecnn_requantize_doubled(doubled, channel[EDGECNN_MULTIPLIER], channel[EDGECNN_SHIFT],
                                      s->output_zero_point, s->activation_min, s->activation_max);
}

/* One or two filters of a window. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_put(const edgecnn_conv2d_blocked_shape *s,
                                                   edgecnn_sums largest, const int32_t *channels,
                                                   int32_t n, int8_t *output) {
    output[0] = edgecnn_conv2d_pooled_byte(s, edgecnn_shift_left(largest.even, 1), channels);
    if (n > 1) {
        const int32_t doubled =
            s->is_joint ? largest.odd >> 7 : edgecnn_shift_left(largest.odd, 1);
        output[1] = edgecnn_conv2d_pooled_byte(s, doubled, channels + EDGECNN_CHANNEL_WORDS);
    }
}

/* Four filters, or the n that are left, of a window with so many twos of columns. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_block(const edgecnn_conv2d_blocked_shape *s,
                                                     const int8_t *weights,
                                                     const int32_t *channels,
                                                     const int8_t *columns, int32_t twos,
                                                     int32_t n, int8_t *output) {
    edgecnn_sums a = {INT32_MIN, INT32_MIN}, b = {INT32_MIN, INT32_MIN};
    for (; twos > 0; --twos) {
        const edgecnn_sums_4x2 sums =
            edgecnn_block_4x2(weights, columns, s->pairs, s->is_joint, channels);
        edgecnn_conv2d_pooled_keep(sums.a0, sums.a1, s->is_joint, &a);
        edgecnn_conv2d_pooled_keep(sums.b0, sums.b1, s->is_joint, &b);
        columns += s->pairs * EDGECNN_COLUMN_STEP;
    }
    edgecnn_conv2d_pooled_put(s, a, channels, n, output);
    if (n > 2) {
        edgecnn_conv2d_pooled_put(s, b, channels + 2 * EDGECNN_CHANNEL_WORDS, n - 2, output + 2);
    }
}

/* All filters of a window. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_filter(const edgecnn_conv2d_blocked_shape *s,
                                                      const edgecnn_conv2d_pooled_params *p,
                                                      const int8_t *columns, int32_t twos,
                                                      int8_t *output) {
    const int32_t rest = s->output_channels % EDGECNN_ROWS;
    const int8_t *weights = p->weights;
    const int32_t *channels = p->channels;
    for (int32_t c = rest; c < s->output_channels; c += EDGECNN_ROWS) {
        edgecnn_conv2d_pooled_block(s, weights, channels, columns, twos, EDGECNN_ROWS, output);
        weights += s->pairs * EDGECNN_PAIR_BYTES;
        channels += EDGECNN_ROWS * EDGECNN_CHANNEL_WORDS;
        output += EDGECNN_ROWS;
    }
    if (rest != 0) {
        edgecnn_conv2d_pooled_block(s, weights, channels, columns, twos, rest, output);
    }
}

/* scratch: the columns of a window, and the bytes of a row under the filters. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled(const edgecnn_conv2d_pooled_shape *s,
                                               const edgecnn_conv2d_pooled_params *p,
                                               const int8_t *input, int8_t *scratch,
                                               int8_t *output) {
    const int32_t positions = s->pool.size_height * s->pool.size_width;
    int8_t *const bytes =
        scratch + (positions + 1) / 2 * s->conv.pairs * EDGECNN_COLUMN_STEP;
    for (int32_t oy = 0; oy < s->pool.output_height; ++oy) {
        for (int32_t ox = 0; ox < s->pool.output_width; ++ox) {
            const edgecnn_window window = edgecnn_window_at(&s->pool, oy, ox);
            const int32_t twos =
                edgecnn_conv2d_pooled_gather(s, input, window, bytes, scratch);
            edgecnn_conv2d_pooled_filter(&s->conv, p, scratch, twos, output);
            output += s->conv.output_channels;
        }
    }
}

#endif
