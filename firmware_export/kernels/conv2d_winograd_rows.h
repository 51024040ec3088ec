/* 3x3 convolution by Winograd's F(4, 3) along rows: 18 multiplications for 4 outputs instead of 36,
 * all in integers, for as little as one row of outputs.
 *
 * Six pixels of each of the three rows under the window are transformed, two channels in one word
 * at once, and multiplied by the transformed weights of their row; the sums over all rows and
 * channels, position by position, are transformed into four outputs with a factor of 24 in front.
 *
 * Words of two channels are plain integers, 65536 * high + low, in between. Their halves can be
 * told apart again if low is never negative. The pixels are moved to 0..255 for that, and
 * EDGECNN_WINOGRAD_ROWS_OFFSET is added to the low channels of the last two. These have the factor
 * 1 in every position, so that it is added to each of them. What the sums begin with makes up for
 * all of that. */
#ifndef EDGECNN_CONV2D_WINOGRAD_ROWS_H
#define EDGECNN_CONV2D_WINOGRAD_ROWS_H

#include "edgecnn_winograd.h"

typedef edgecnn_winograd_shape edgecnn_conv2d_winograd_rows_shape;
typedef struct {
    const int32_t *weights;  /* [filters / 4][6][3 rows][pairs of channels][4], pairs of int16 */
    const int32_t *starts;   /* [filters / 4][6][4]: what the sums begin with, bias and all */
    const int32_t *channels; /* [filters, filled up to fours][2]: multiplier, right shift less 1 */
} edgecnn_conv2d_winograd_rows_params;

enum {
    EDGECNN_WINOGRAD_ROWS_OFFSET = 2048,
    EDGECNN_WINOGRAD_ROWS_SIDE = 6, /* pixels, and positions, of a tile */
    EDGECNN_WINOGRAD_ROWS_OUTPUTS = 4,
    EDGECNN_WINOGRAD_ROWS_BLOCK = 12, /* pairs in a step of the loop over them, or half of it */
    /* of a line of the table of channels */
    EDGECNN_WINOGRAD_ROWS_MULTIPLIER = 0,
    EDGECNN_WINOGRAD_ROWS_SHIFT,
    EDGECNN_WINOGRAD_ROWS_CHANNEL_WORDS
};

/* --- input ------------------------------------------------------------------------------------ */

/* Six words of two channels; bytes: between positions. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_forward(const uint32_t x[6], int32_t bytes,
                                                       int8_t *to) {
    const uint32_t even = x[4] - x[2], odd = x[3] - x[1];
    const uint32_t even4 = x[4] - (x[2] << 2), odd4 = x[3] - (x[1] << 2);
    edgecnn_winograd_store(to, even + ((x[0] - x[2]) << 2));
    edgecnn_winograd_store(to + bytes, even4 + odd4);
    edgecnn_winograd_store(to + 2 * bytes, even4 - odd4);
    edgecnn_winograd_store(to + 3 * bytes, even + (odd << 1));
    edgecnn_winograd_store(to + 4 * bytes, even - (odd << 1));
    edgecnn_winograd_store(to + 5 * bytes, (x[5] - x[3]) - (odd << 2));
}

/* Transform six pixels of whole words; bytes: between positions. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_words(const int8_t *from, int32_t depth,
                                                     int32_t bytes, int8_t *to) {
    const int8_t *const end = from + depth;
#pragma GCC unroll 1
    for (; from != end; from += 4) {
        uint32_t x[6];
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_even(edgecnn_winograd_load(from + i * depth));
        }
        x[4] += EDGECNN_WINOGRAD_ROWS_OFFSET;
        x[5] += EDGECNN_WINOGRAD_ROWS_OFFSET;
        edgecnn_winograd_rows_forward(x, bytes, to);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_odd(edgecnn_winograd_load(from + i * depth));
        }
        x[4] += EDGECNN_WINOGRAD_ROWS_OFFSET;
        x[5] += EDGECNN_WINOGRAD_ROWS_OFFSET;
        edgecnn_winograd_rows_forward(x, bytes, to + EDGECNN_TILE_STEP);
        to += 2 * EDGECNN_TILE_STEP;
    }
}

/* Copy six pixels, with the zero point outside of the image, and whole words of channels. */
EDGECNN_FUNCTION void edgecnn_winograd_rows_gather(const edgecnn_winograd_shape *s,
                                                   const int8_t *input, int32_t y, int32_t left,
                                                   int8_t *to) {
    const int32_t side = EDGECNN_WINOGRAD_ROWS_SIDE, depth = (s->input_channels + 3) / 4 * 4;
    const int32_t is_inside = y >= 0 && y < s->input_height;
    const int32_t begin = is_inside ? edgecnn_clamp(-left, 0, side) : side;
    const int32_t end = edgecnn_clamp(s->input_width - left, begin, side);
    to = edgecnn_winograd_fill(s->input_zero_point, begin * depth, to);
    if (begin < end) {
        const int8_t *from = input + (y * s->input_width + left + begin) * s->input_channels;
        to = edgecnn_winograd_copy(from, end - begin, s->input_channels, depth, to);
    }
    edgecnn_winograd_fill(s->input_zero_point, (side - end) * depth, to);
}

/* Transform the tile at (top, left). scratch: of six pixels. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_tile(const edgecnn_winograd_shape *s,
                                                    const int8_t *input, int32_t top, int32_t left,
                                                    int8_t *scratch, int8_t *to) {
    const int32_t depth = (s->input_channels + 3) / 4 * 4;
    const int32_t row_bytes = depth / 2 * EDGECNN_TILE_STEP;
    const int32_t is_direct = depth == s->input_channels && left >= 0 &&
                              left + EDGECNN_WINOGRAD_ROWS_SIDE <= s->input_width;
#pragma GCC unroll 1
    for (int32_t y = top; y < top + 3; ++y) {
        const int8_t *from = input + (y * s->input_width + left) * depth;
        if (!is_direct || y < 0 || y >= s->input_height) {
            const edgecnn_winograd_shape *shape = s;
            EDGECNN_OPAQUE(shape); /* no copy of the function for each shape */
            edgecnn_winograd_rows_gather(shape, input, y, left, scratch);
            from = scratch;
        }
        edgecnn_winograd_rows_words(from, depth, 3 * row_bytes, to);
        to += row_bytes;
    }
}

/* --- products --------------------------------------------------------------------------------- */

/* Sums of all positions, [6][4 filters][2 tiles], in steps of so many pairs; bytes: of a position
 * of v. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_sums(const int8_t *u, const int8_t *v,
                                                    const int8_t *starts, int32_t bytes,
                                                    int32_t step, int8_t *sums) {
    const int8_t *const end = sums + EDGECNN_WINOGRAD_ROWS_SIDE * 4 * EDGECNN_SUMS;
#pragma GCC unroll 1
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        const int8_t *const volatile behind = v + bytes; /* in memory: no register is left */
        int32_t s[EDGECNN_SUMS];
#pragma GCC unroll 4
        for (int32_t i = 0; i < EDGECNN_FILTERS; ++i) {
            s[2 * i] = s[2 * i + 1] = (int32_t)edgecnn_winograd_load(starts + 4 * i);
        }
        starts += 4 * EDGECNN_FILTERS;
        do {
#pragma GCC unroll 12
            for (int32_t i = 0; i < step; ++i) {
                edgecnn_winograd_pair(&u, &v, s);
            }
        } while (v != behind);
        edgecnn_winograd_store_sums(s, sums);
    }
}

/* Functions of their own, since sums, pointers and loaded words take all of the registers. */
EDGECNN_FUNCTION void edgecnn_winograd_rows_sums_6(const int8_t *u, const int8_t *v,
                                                   const int8_t *starts, int32_t bytes,
                                                   int8_t *sums) {
    edgecnn_winograd_rows_sums(u, v, starts, bytes, 6, sums);
}
EDGECNN_FUNCTION void edgecnn_winograd_rows_sums_12(const int8_t *u, const int8_t *v,
                                                    const int8_t *starts, int32_t bytes,
                                                    int8_t *sums) {
    edgecnn_winograd_rows_sums(u, v, starts, bytes, 12, sums);
}

/* --- output ----------------------------------------------------------------------------------- */

/* The outputs of one filter and tile, as many as are in the image.
 *
 * They come with 24 in front. Products with the inverse of 3 modulo 2^32 divide by 3 what is
 * divisible by it, whatever it was before it wrapped around. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_finish(const edgecnn_winograd_shape *s,
                                                      const int8_t *sums, const int32_t *channel,
                                                      int32_t columns, int8_t *output) {
    const uint32_t inverse = 2863311531u;
    const int32_t multiplier = channel[EDGECNN_WINOGRAD_ROWS_MULTIPLIER];
    const int32_t shift = channel[EDGECNN_WINOGRAD_ROWS_SHIFT];
    uint32_t m[6];
#pragma GCC unroll 6
    for (int32_t i = 0; i < 6; ++i) {
        m[i] = edgecnn_winograd_load(sums + i * 4 * EDGECNN_SUMS);
    }
    const uint32_t sum = m[1] + m[2], difference = m[1] - m[2];
    const uint32_t sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    const uint32_t y[4] = {m[0] + sum + sum2, difference + (difference2 << 1), sum + (sum2 << 2),
                           difference + (difference2 << 3) + (m[5] << 1)};
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        if (i < columns) {
            const int32_t doubled = (int32_t)(y[i] * inverse) >> 2;
            output[i * s->output_channels] = edgecnn_requantize_doubled(
                doubled, multiplier, shift, s->output_zero_point, s->activation_min,
                s->activation_max);
        }
    }
}

/* n filters of two tiles; the second one may be missing. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_outputs(const edgecnn_winograd_shape *s,
                                                       const int8_t *sums, const int32_t *channels,
                                                       int32_t tile, int32_t n, int8_t *output) {
    const int32_t size = EDGECNN_WINOGRAD_ROWS_OUTPUTS;
    const int32_t across = (s->output_width + size - 1) / size;
    const int32_t count = across * s->output_height;
    for (int32_t i = 0; i < 2 && tile < count; ++i, ++tile) {
        const int32_t y = tile / across, x = tile % across * size;
        const int32_t columns =
            s->output_width % size == 0 ? size : edgecnn_clamp(s->output_width - x, 0, size);
        int8_t *to = output + (y * s->output_width + x) * s->output_channels;
#pragma GCC unroll 1
        for (int32_t j = 0; j < n; ++j) {
            edgecnn_winograd_rows_finish(s, sums + 4 * (2 * j + i),
                                         channels + j * EDGECNN_WINOGRAD_ROWS_CHANNEL_WORDS,
                                         columns, to + j);
        }
    }
}

/* --- layer ------------------------------------------------------------------------------------ */

/* scratch: [6][3 rows][pairs of channels][2 tiles], then [6][4 filters][2 tiles] of sums, whose
 * place is that of six pixels on their way before. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_winograd_rows(const edgecnn_winograd_shape *s,
                                                      const edgecnn_conv2d_winograd_rows_params *p,
                                                      const int8_t *input, int8_t *scratch,
                                                      int8_t *output) {
    enum { SIDE = EDGECNN_WINOGRAD_ROWS_SIDE, OUTPUTS = EDGECNN_WINOGRAD_ROWS_OUTPUTS };
    const int32_t pairs = (s->input_channels + 3) / 4 * 2 * 3;
    const int32_t bytes = pairs * EDGECNN_TILE_STEP;
    const int32_t across = (s->output_width + OUTPUTS - 1) / OUTPUTS;
    const int32_t count = across * s->output_height;
    int8_t *const sums = scratch + SIDE * bytes;
    for (int32_t tile = 0; tile < count; tile += 2) {
#pragma GCC unroll 1
        for (int32_t i = 0; i < 2 && tile + i < count; ++i) {
            const int32_t top = (tile + i) / across, left = (tile + i) % across * OUTPUTS;
            edgecnn_winograd_rows_tile(s, input, top - s->pad_top, left - s->pad_left, sums,
                                       scratch + 4 * i);
        }
        const int8_t *weights = (const int8_t *)p->weights, *starts = (const int8_t *)p->starts;
        const int32_t *channels = p->channels;
        for (int32_t c = 0; c < s->output_channels; c += EDGECNN_FILTERS) {
            const int32_t n = edgecnn_clamp(s->output_channels - c, 0, EDGECNN_FILTERS);
            if (pairs % EDGECNN_WINOGRAD_ROWS_BLOCK == 0) {
                edgecnn_winograd_rows_sums_12(weights, scratch, starts, bytes, sums);
            } else {
                edgecnn_winograd_rows_sums_6(weights, scratch, starts, bytes, sums);
            }
            edgecnn_winograd_rows_outputs(s, sums, channels, tile, n, output + c);
            weights += 4 * SIDE * pairs * EDGECNN_FILTERS;
            starts += 4 * SIDE * EDGECNN_FILTERS;
            channels += EDGECNN_FILTERS * EDGECNN_WINOGRAD_ROWS_CHANNEL_WORDS;
        }
    }
}

#endif
