/* 3x3 convolution by Winograd's F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144, all
 * in integers.
 *
 * A tile of 6x6 pixels is transformed along columns and rows, two channels in one word at once, and
 * multiplied by the transformed weights, position by position; a transform of the sums gives 4x4
 * outputs with a factor in front.
 *
 * Words of two channels are plain integers, 65536 * high + low, in between. Their halves can be
 * told apart again if low is never negative. The pixels are moved to 0..255 for that, which the
 * bias makes up for; and EDGECNN_WINOGRAD4_OFFSET is added to the low channels of the four pixels
 * at the bottom right, on the way between columns and rows. These have the factor 1 in every
 * position, so that it is added to each of them. It reaches four of the outputs only, from which
 * it is taken off. */
#ifndef EDGECNN_CONV2D_WINOGRAD4_H
#define EDGECNN_CONV2D_WINOGRAD4_H

#include "edgecnn_winograd.h"

typedef edgecnn_winograd_shape edgecnn_conv2d_winograd4_shape;
typedef edgecnn_winograd_params edgecnn_conv2d_winograd4_params;

enum {
    EDGECNN_WINOGRAD4_OFFSET = 12800,
    EDGECNN_WINOGRAD4_SIDE = 6, /* of a tile */
    EDGECNN_WINOGRAD4_POSITIONS = 36,
    EDGECNN_WINOGRAD4_ROW = 6 * 4 * EDGECNN_SUMS, /* bytes of the sums of a row of positions */
    EDGECNN_WINOGRAD4_HALF = 36 * 4, /* bytes of a tile of half the channels of a word */
    /* of a line of the table of channels: twice the bias, multiplier, right shift less one, and
     * what is added to outputs (2, 2), (2, 3), (3, 2), (3, 3) with 2^6 in front */
    EDGECNN_WINOGRAD4_CORNER = 3,
    EDGECNN_WINOGRAD4_CHANNEL_WORDS = 7
};

/* --- input ------------------------------------------------------------------------------------ */

/* Along one column or row. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_forward(const uint32_t x[6], uint32_t v[6]) {
    const uint32_t even = x[4] - x[2], odd = x[3] - x[1];
    const uint32_t even4 = x[4] - (x[2] << 2), odd4 = x[3] - (x[1] << 2);
    v[0] = even + ((x[0] - x[2]) << 2);
    v[1] = even4 + odd4;
    v[2] = even4 - odd4;
    v[3] = even + (odd << 1);
    v[4] = even - (odd << 1);
    v[5] = (x[5] - x[3]) - (odd << 2);
}

/* The columns of a tile of four channels: of the low bytes of each half, then of the others. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_columns(const int8_t *from, int32_t row_bytes,
                                                   int32_t depth, int8_t *to) {
    const int8_t *const end = to + 6 * 4;
#pragma GCC unroll 1
    for (; to != end; to += 4) {
        uint32_t x[6], v[6];
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_even(edgecnn_winograd_load(from + i * row_bytes));
        }
        edgecnn_winograd4_forward(x, v);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            edgecnn_winograd_store(to + i * 24, v[i]);
        }
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_odd(edgecnn_winograd_load(from + i * row_bytes));
        }
        edgecnn_winograd4_forward(x, v);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            edgecnn_winograd_store(to + EDGECNN_WINOGRAD4_HALF + i * 24, v[i]);
        }
        from += depth;
    }
}

/* The rows of one half of what the columns gave. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_rows(const int8_t *from, int32_t position_bytes,
                                                int8_t *to) {
    const int8_t *const end = from + EDGECNN_WINOGRAD4_HALF;
#pragma GCC unroll 2
    for (; from != end; from += 24) {
        uint32_t x[6], v[6];
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_load(from + 4 * i);
        }
        x[4] += EDGECNN_WINOGRAD4_OFFSET;
        x[5] += EDGECNN_WINOGRAD4_OFFSET;
        edgecnn_winograd4_forward(x, v);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            edgecnn_winograd_store(to + i * position_bytes, v[i]);
        }
        to += 6 * position_bytes;
    }
}

/* Transform a tile of whole words; scratch: of two halves. */
EDGECNN_FUNCTION void edgecnn_winograd4_words(const int8_t *from, int32_t row_bytes, int32_t depth,
                                              int8_t *scratch, int8_t *to) {
    const int32_t position_bytes = depth / 2 * EDGECNN_TILE_STEP;
    const int8_t *const end = from + depth;
    for (; from != end; from += 4) {
        edgecnn_winograd4_columns(from, row_bytes, depth, scratch);
        edgecnn_winograd4_rows(scratch, position_bytes, to);
        edgecnn_winograd4_rows(scratch + EDGECNN_WINOGRAD4_HALF, position_bytes,
                               to + EDGECNN_TILE_STEP);
        to += 2 * EDGECNN_TILE_STEP;
    }
}

/* Transform the tile at (top, left). scratch: of two halves between, then of a gathered tile. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_tile(const edgecnn_winograd_shape *s,
                                                const int8_t *input, int32_t top, int32_t left,
                                                int8_t *scratch, int8_t *to) {
    const int32_t depth = (s->input_channels + 3) / 4 * 4;
    const int32_t is_direct = depth == s->input_channels && top >= 0 && left >= 0 &&
                              top + 6 <= s->input_height && left + 6 <= s->input_width;
    if (is_direct) {
        edgecnn_winograd4_words(input + (top * s->input_width + left) * depth,
                                s->input_width * depth, depth, scratch, to);
    } else {
        int8_t *const tile = scratch + 2 * EDGECNN_WINOGRAD4_HALF;
        const edgecnn_winograd_shape *shape = s;
        EDGECNN_OPAQUE(shape); /* no copy of the function for each shape */
        edgecnn_winograd_gather(shape, input, top, left, EDGECNN_WINOGRAD4_SIDE, tile);
        edgecnn_winograd4_words(tile, 6 * depth, depth, scratch, to);
    }
}

/* --- output ----------------------------------------------------------------------------------- */

/* Along one column or row. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_backward(const uint32_t m[6], uint32_t y[4]) {
    const uint32_t sum = m[1] + m[2], difference = m[1] - m[2];
    const uint32_t sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = difference + (difference2 << 1);
    y[2] = sum + (sum2 << 2);
    y[3] = difference + (difference2 << 3) + (m[5] << 1);
}

/* Transform the columns of all sums in their place; row_bytes: of a row of positions. */
EDGECNN_FUNCTION void edgecnn_winograd4_sum_columns(int8_t *sums, int32_t row_bytes) {
    const int8_t *const end = sums + row_bytes;
#pragma GCC unroll 2
    for (; sums != end; sums += 4) {
        uint32_t m[6], y[4];
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            m[i] = edgecnn_winograd_load(sums + i * row_bytes);
        }
        edgecnn_winograd4_backward(m, y);
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            edgecnn_winograd_store(sums + i * row_bytes, y[i]);
        }
    }
}

/* The outputs of one filter and tile, as many rows and columns of them as are in the image.
 *
 * They come with 9 * 2^6 in front. Products with the inverse of 9 modulo 2^32 divide by 9 what is
 * divisible by it, whatever it was before it wrapped around. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_finish(const edgecnn_winograd_shape *s,
                                                  const int8_t *sums, const int32_t *channel,
                                                  int32_t rows, int32_t columns, int8_t *output) {
    const uint32_t inverse = 954437177u;
    const int32_t bias = channel[EDGECNN_BIAS], multiplier = channel[EDGECNN_MULTIPLIER];
    const int32_t shift = channel[EDGECNN_SHIFT];
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        if (i >= rows) {
            return;
        }
        uint32_t m[6], y[4];
#pragma GCC unroll 6
        for (int32_t j = 0; j < 6; ++j) {
            m[j] = edgecnn_winograd_load(sums + j * 4 * EDGECNN_SUMS);
        }
        edgecnn_winograd4_backward(m, y);
#pragma GCC unroll 4
        for (int32_t j = 0; j < 4; ++j) {
            uint32_t scaled = y[j] * inverse;
            if (i >= 2 && j >= 2) {
                scaled += (uint32_t)channel[EDGECNN_WINOGRAD4_CORNER + 2 * (i - 2) + j - 2];
            }
            const int32_t doubled = edgecnn_wrapping_add(bias, (int32_t)scaled >> 5);
            if (j < columns) {
                output[j * s->output_channels] = edgecnn_requantize_doubled(
                    doubled, multiplier, shift, s->output_zero_point, s->activation_min,
                    s->activation_max);
            }
        }
        sums += EDGECNN_WINOGRAD4_ROW;
        output += s->output_width * s->output_channels;
    }
}

/* Outputs of a side of a tile that begins at an output. */
EDGECNN_SPECIALIZED int32_t edgecnn_winograd4_outputs(int32_t begin, int32_t size) {
    return size % 4 == 0 ? 4 : edgecnn_clamp(size - begin, 0, 4);
}

/* n filters of two tiles; the second one may be missing. */
EDGECNN_SPECIALIZED void edgecnn_winograd4_outputs_of(const edgecnn_winograd_shape *s,
                                                      int8_t *sums, const int32_t *channels,
                                                      int32_t tile, int32_t n, int8_t *output) {
    const int32_t across = (s->output_width + 3) / 4;
    const int32_t count = across * ((s->output_height + 3) / 4);
    edgecnn_winograd4_sum_columns(sums, EDGECNN_WINOGRAD4_ROW);
    for (int32_t i = 0; i < 2 && tile < count; ++i, ++tile) {
        const int32_t y = tile / across * 4, x = tile % across * 4;
        const int32_t rows = edgecnn_winograd4_outputs(y, s->output_height);
        const int32_t columns = edgecnn_winograd4_outputs(x, s->output_width);
        int8_t *to = output + (y * s->output_width + x) * s->output_channels;
        for (int32_t j = 0; j < n; ++j) {
            edgecnn_winograd4_finish(s, sums + 4 * (2 * j + i),
                                     channels + j * EDGECNN_WINOGRAD4_CHANNEL_WORDS, rows, columns,
                                     to + j);
        }
    }
}

/* --- layer ------------------------------------------------------------------------------------ */

/* scratch: [positions][pairs of channels][2 tiles], then [positions][4 filters][2 tiles] of sums,
 * whose place is that of tiles on their way before. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_winograd4(const edgecnn_winograd_shape *s,
                                                  const edgecnn_conv2d_winograd4_params *p,
                                                  const int8_t *input, int8_t *scratch,
                                                  int8_t *output) {
    const int32_t pairs = (s->input_channels + 3) / 4 * 2;
    const int32_t across = (s->output_width + 3) / 4;
    const int32_t count = across * ((s->output_height + 3) / 4);
    int8_t *const sums = scratch + EDGECNN_WINOGRAD4_POSITIONS * pairs * EDGECNN_TILE_STEP;
    for (int32_t tile = 0; tile < count; tile += 2) {
        for (int32_t i = 0; i < 2 && tile + i < count; ++i) {
            const int32_t top = (tile + i) / across * 4, left = (tile + i) % across * 4;
            edgecnn_winograd4_tile(s, input, top - s->pad_top, left - s->pad_left, sums,
                                   scratch + 4 * i);
        }
        const int8_t *weights = (const int8_t *)p->weights;
        const int32_t *channels = p->channels;
        for (int32_t c = 0; c < s->output_channels; c += EDGECNN_FILTERS) {
            const int32_t n = edgecnn_clamp(s->output_channels - c, 0, EDGECNN_FILTERS);
            edgecnn_winograd_products(weights, scratch, EDGECNN_WINOGRAD4_POSITIONS, pairs, sums);
            edgecnn_winograd4_outputs_of(s, sums, channels, tile, n, output + c);
            weights += 4 * EDGECNN_WINOGRAD4_POSITIONS * pairs * EDGECNN_FILTERS;
            channels += EDGECNN_FILTERS * EDGECNN_WINOGRAD4_CHANNEL_WORDS;
        }
    }
}

#endif
