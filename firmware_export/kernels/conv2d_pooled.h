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

/* What the positions of a window lie on, in the input or in a copy of that part. */
typedef struct {
    const int8_t *from;
    int32_t row_bytes;
} edgecnn_conv2d_pooled_area;

EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_pooled_reach(int32_t positions, int32_t stride,
                                                        int32_t kernel, int32_t dilation) {
    return (positions - 1) * stride + (kernel - 1) * dilation + 1;
}

EDGECNN_SPECIALIZED int8_t *edgecnn_conv2d_pooled_fill(int8_t *to, int32_t value, int32_t n) {
    for (int32_t i = n; i > 0; --i) {
        *to++ = (int8_t)value;
    }
    return to;
}

EDGECNN_SPECIALIZED int8_t *edgecnn_conv2d_pooled_run(int8_t *to, const int8_t *from, int32_t n) {
    for (int32_t i = n / 4; i > 0; --i) {
        edgecnn_store(to, edgecnn_load(from));
        from += 4;
        to += 4;
    }
    for (int32_t i = n % 4; i > 0; --i) {
        *to++ = *from++;
    }
    return to;
}

/* The part of the input from (top, left) on, with the zero point outside. */
EDGECNN_FUNCTION void edgecnn_conv2d_pooled_copy(const edgecnn_conv2d_blocked_shape *s,
                                                 const int8_t *input, int32_t top, int32_t left,
                                                 int32_t height, int32_t width, int8_t *to) {
    const int32_t depth = s->input_channels, zero = s->input_zero_point;
    const int32_t begin = edgecnn_clamp(-left, 0, width);
    const int32_t end = edgecnn_clamp(s->input_width - left, begin, width);
    for (int32_t y = top; y < top + height; ++y) {
        const int32_t is_inside = y >= 0 && y < s->input_height;
        const int32_t first = is_inside ? begin : width, last = is_inside ? end : width;
        to = edgecnn_conv2d_pooled_fill(to, zero, first * depth);
        if (first < last) {
            const int8_t *const row = input + (y * s->input_width + left + first) * depth;
            to = edgecnn_conv2d_pooled_run(to, row, (last - first) * depth);
        }
        to = edgecnn_conv2d_pooled_fill(to, zero, (width - last) * depth);
    }
}

/* Where the positions of a window, so many down and across, take their inputs from. */
EDGECNN_SPECIALIZED edgecnn_conv2d_pooled_area edgecnn_conv2d_pooled_find(
    const edgecnn_conv2d_blocked_shape *s, const int8_t *input, edgecnn_window w, int32_t down,
    int32_t across, int8_t *copy) {
    const int32_t top = w.y_begin * s->stride_height - s->pad_top;
    const int32_t left = w.x_begin * s->stride_width - s->pad_left;
    const int32_t height = edgecnn_conv2d_pooled_reach(down, s->stride_height, s->kernel_height,
                                                       s->dilation_height);
    const int32_t width =
        edgecnn_conv2d_pooled_reach(across, s->stride_width, s->kernel_width, 1);
    if (top >= 0 && left >= 0 && top + height <= s->input_height &&
        left + width <= s->input_width) {
        const edgecnn_conv2d_pooled_area area = {
            input + (top * s->input_width + left) * s->input_channels,
            s->input_width * s->input_channels};
        return area;
    }
    const edgecnn_conv2d_blocked_shape *shape = s;
    EDGECNN_OPAQUE(shape); /* no copy of the function for each shape */
    edgecnn_conv2d_pooled_copy(shape, input, top, left, height, width, copy);
    const edgecnn_conv2d_pooled_area area = {copy, width * s->input_channels};
    return area;
}

/* Widen the patch of each position, two side by side; the last of an odd number of positions is in
 * both columns. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_gather(const edgecnn_conv2d_blocked_shape *s,
                                                      edgecnn_conv2d_pooled_area area,
                                                      int32_t down, int32_t across,
                                                      int8_t *columns) {
    const int32_t n = s->kernel_width * s->input_channels;
    const int32_t column_bytes = s->pairs * EDGECNN_COLUMN_STEP;
    int32_t count = 0;
    for (int32_t y = 0; y < down; ++y) {
        for (int32_t x = 0; x < across; ++x) {
            const int8_t *row = area.from + y * s->stride_height * area.row_bytes +
                                x * s->stride_width * s->input_channels;
            int8_t *to = columns + count / 2 * column_bytes + count % 2 * 4;
            for (int32_t ky = s->kernel_height; ky > 0; --ky) {
                to = edgecnn_widen(row, n, to);
                row += s->dilation_height * area.row_bytes;
            }
            ++count;
        }
    }
    if (count % 2 != 0) {
        int8_t *last = columns + count / 2 * column_bytes;
        for (int32_t i = s->pairs; i > 0; --i) {
            edgecnn_store(last + 4, edgecnn_load(last));
            last += EDGECNN_COLUMN_STEP;
        }
    }
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

/* Whether all windows lie inside. */
EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_pooled_is_whole(const edgecnn_pool_params *p) {
    return p->pad_top == 0 && p->pad_left == 0 &&
           (p->output_height - 1) * p->stride_height + p->size_height <= p->input_height &&
           (p->output_width - 1) * p->stride_width + p->size_width <= p->input_width;
}

/* Whether all windows have four positions, whose sums two filters have at once in registers. */
EDGECNN_SPECIALIZED int32_t edgecnn_conv2d_pooled_in_fours(const edgecnn_conv2d_pooled_shape *s) {
    return EDGECNN_IS_KNOWN(s->conv.pairs) && s->conv.pairs <= EDGECNN_MOST_PAIRS_2X4 &&
           s->conv.is_joint && s->pool.size_height * s->pool.size_width == 4 &&
           edgecnn_conv2d_pooled_is_whole(&s->pool);
}

/* All filters of a window of four positions, two at a time. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_filter_four(const edgecnn_conv2d_blocked_shape *s,
                                                           const edgecnn_conv2d_pooled_params *p,
                                                           const int8_t *columns,
                                                           int8_t *output) {
    const int8_t *weights = p->weights;
    const int32_t *channels = p->channels;
    for (int32_t c = 0; c < s->output_channels; c += 2) {
        const edgecnn_sums_2x4 sums = edgecnn_block_2x4(weights, columns, s->pairs, channels);
        edgecnn_sums largest = {INT32_MIN, INT32_MIN};
        edgecnn_conv2d_pooled_keep(sums.c0, sums.c1, 1, &largest);
        edgecnn_conv2d_pooled_keep(sums.c2, sums.c3, 1, &largest);
        edgecnn_conv2d_pooled_put(s, largest, channels, s->output_channels - c, output + c);
        channels += 2 * EDGECNN_CHANNEL_WORDS;
        weights += c % 4 == 0 ? 4 : s->pairs * EDGECNN_PAIR_BYTES - 4;
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

/* All filters of a window with so many positions down and across. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled_window(const edgecnn_conv2d_pooled_shape *s,
                                                      const edgecnn_conv2d_pooled_params *p,
                                                      const int8_t *input, edgecnn_window w,
                                                      int32_t down, int32_t across,
                                                      int8_t *scratch, int8_t *output) {
    const edgecnn_conv2d_blocked_shape *const conv = &s->conv;
    const int32_t most = (s->pool.size_height * s->pool.size_width + 1) / 2;
    int8_t *const copy = scratch + most * conv->pairs * EDGECNN_COLUMN_STEP;
    const edgecnn_conv2d_pooled_area area =
        edgecnn_conv2d_pooled_find(conv, input, w, down, across, copy);
    edgecnn_conv2d_pooled_gather(conv, area, down, across, scratch);
    if (edgecnn_conv2d_pooled_in_fours(s)) {
        edgecnn_conv2d_pooled_filter_four(conv, p, scratch, output);
    } else {
        edgecnn_conv2d_pooled_filter(conv, p, scratch, (down * across + 1) / 2, output);
    }
}

/* scratch: the columns of a window, and the copy of what is under it where that is not all inside
 * of the input. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_pooled(const edgecnn_conv2d_pooled_shape *s,
                                               const edgecnn_conv2d_pooled_params *p,
                                               const int8_t *input, int8_t *scratch,
                                               int8_t *output) {
    const edgecnn_pool_params *const pool = &s->pool;
    const int32_t is_whole = edgecnn_conv2d_pooled_is_whole(pool);
    for (int32_t oy = 0; oy < pool->output_height; ++oy) {
        for (int32_t ox = 0; ox < pool->output_width; ++ox) {
            const edgecnn_window w = edgecnn_window_at(pool, oy, ox);
            const int32_t down = is_whole ? pool->size_height : w.y_end - w.y_begin;
            const int32_t across = is_whole ? pool->size_width : w.x_end - w.x_begin;
            edgecnn_conv2d_pooled_window(s, p, input, w, down, across, scratch, output);
            output += s->conv.output_channels;
        }
    }
}

#endif
