/* 3x3 convolution by Winograd's F(2x2, 3x3): 16 multiplications for 4 outputs instead of 36, all in
 * integers.
 *
 * A tile of 4x4 pixels is transformed along columns and rows, two channels in one word at once, and
 * multiplied by the transformed weights, position by position; a transform of the sums gives 2x2
 * outputs with 4 in front. */
#ifndef EDGECNN_CONV2D_WINOGRAD2_H
#define EDGECNN_CONV2D_WINOGRAD2_H

#include "edgecnn_winograd.h"

typedef edgecnn_winograd_shape edgecnn_conv2d_winograd2_shape;
typedef edgecnn_winograd_params edgecnn_conv2d_winograd2_params;

enum {
    EDGECNN_WINOGRAD2_SIDE = 4, /* of a tile */
    EDGECNN_WINOGRAD2_POSITIONS = 16,
    EDGECNN_WINOGRAD2_ROW = 4 * 4 * EDGECNN_SUMS, /* bytes of the sums of a row of positions */
    EDGECNN_WINOGRAD2_HALF = 16 * 4 /* bytes of a tile of half the channels of a word */
};

/* --- input ------------------------------------------------------------------------------------ */

/* Along one column or row. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_forward(const uint32_t x[4], int32_t step, int8_t *to) {
    edgecnn_winograd_store(to, edgecnn_ssub16(x[0], x[2]));
    edgecnn_winograd_store(to + step, edgecnn_sadd16(x[2], x[1]));
    edgecnn_winograd_store(to + 2 * step, edgecnn_ssub16(x[2], x[1]));
    edgecnn_winograd_store(to + 3 * step, edgecnn_ssub16(x[3], x[1]));
}

/* The columns of a tile of four channels: of the low bytes of each half, then of the others. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_columns(const int8_t *from, int32_t row_bytes,
                                                   int32_t depth, int8_t *to) {
    const int8_t *const end = to + 4 * 4;
#pragma GCC unroll 1
    for (; to != end; to += 4) {
        uint32_t words[4], x[4];
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            words[i] = edgecnn_winograd_load(from + i * row_bytes);
        }
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            x[i] = edgecnn_sxtb16(words[i]);
        }
        edgecnn_winograd2_forward(x, 16, to);
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            x[i] = edgecnn_sxtb16_ror8(words[i]);
        }
        edgecnn_winograd2_forward(x, 16, to + EDGECNN_WINOGRAD2_HALF);
        from += depth;
    }
}

/* The rows of one half of what the columns gave. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_rows(const int8_t *from, int32_t position_bytes,
                                                int8_t *to) {
    const int8_t *const end = from + EDGECNN_WINOGRAD2_HALF;
#pragma GCC unroll 2
    for (; from != end; from += 16) {
        uint32_t x[4];
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            x[i] = edgecnn_winograd_load(from + 4 * i);
        }
        edgecnn_winograd2_forward(x, position_bytes, to);
        to += 4 * position_bytes;
    }
}

/* Transform a tile of whole words; scratch: of two halves. */
EDGECNN_FUNCTION void edgecnn_winograd2_words(const int8_t *from, int32_t row_bytes, int32_t depth,
                                              int8_t *scratch, int8_t *to) {
    const int32_t position_bytes = depth / 2 * EDGECNN_TILE_STEP;
    const int8_t *const end = from + depth;
    for (; from != end; from += 4) {
        edgecnn_winograd2_columns(from, row_bytes, depth, scratch);
        edgecnn_winograd2_rows(scratch, position_bytes, to);
        edgecnn_winograd2_rows(scratch + EDGECNN_WINOGRAD2_HALF, position_bytes,
                               to + EDGECNN_TILE_STEP);
        to += 2 * EDGECNN_TILE_STEP;
    }
}

/* Transform the tile at (top, left). scratch: of two halves between, then of a gathered tile. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_tile(const edgecnn_winograd_shape *s,
                                                const int8_t *input, int32_t top, int32_t left,
                                                int8_t *scratch, int8_t *to) {
    const int32_t depth = (s->input_channels + 3) / 4 * 4;
    const int32_t is_direct = depth == s->input_channels && top >= 0 && left >= 0 &&
                              top + 4 <= s->input_height && left + 4 <= s->input_width;
    if (is_direct) {
        edgecnn_winograd2_words(input + (top * s->input_width + left) * depth,
                                s->input_width * depth, depth, scratch, to);
    } else {
        int8_t *const tile = scratch + 2 * EDGECNN_WINOGRAD2_HALF;
        const edgecnn_winograd_shape *shape = s;
        EDGECNN_OPAQUE(shape); /* no copy of the function for each shape */
        edgecnn_winograd_gather(shape, input, top, left, EDGECNN_WINOGRAD2_SIDE, tile);
        edgecnn_winograd2_words(tile, 4 * depth, depth, scratch, to);
    }
}

/* --- output ----------------------------------------------------------------------------------- */

/* The outputs of one filter and tile, as many rows and columns of them as are in the image. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_finish(const edgecnn_winograd_shape *s,
                                                  const int8_t *sums, const int32_t *channel,
                                                  int32_t rows, int32_t columns, int8_t *output) {
    const int32_t bias = channel[EDGECNN_BIAS], multiplier = channel[EDGECNN_MULTIPLIER];
    const int32_t shift = channel[EDGECNN_SHIFT];
    uint32_t top[4], bottom[4];
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        uint32_t m[4];
#pragma GCC unroll 4
        for (int32_t j = 0; j < 4; ++j) {
            m[j] = edgecnn_winograd_load(sums + j * EDGECNN_WINOGRAD2_ROW);
        }
        top[i] = m[0] + m[1] + m[2];
        bottom[i] = m[1] - m[2] + m[3];
        sums += 4 * EDGECNN_SUMS;
    }
    const uint32_t y[2][2] = {
        {top[0] + top[1] + top[2], top[1] - top[2] + top[3]},
        {bottom[0] + bottom[1] + bottom[2], bottom[1] - bottom[2] + bottom[3]},
    };
#pragma GCC unroll 2
    for (int32_t i = 0; i < 2; ++i) {
#pragma GCC unroll 2
        for (int32_t j = 0; j < 2; ++j) {
            if (i < rows && j < columns) {
                const int32_t doubled = edgecnn_wrapping_add(bias, (int32_t)y[i][j] >> 1);
                output[(i * s->output_width + j) * s->output_channels] =
                    edgecnn_requantize_doubled(doubled, multiplier, shift, s->output_zero_point,
                                               s->activation_min, s->activation_max);
            }
        }
    }
}

/* n filters of two tiles; the second one may be missing. */
EDGECNN_SPECIALIZED void edgecnn_winograd2_outputs_of(const edgecnn_winograd_shape *s,
                                                      const int8_t *sums, const int32_t *channels,
                                                      int32_t tile, int32_t n, int8_t *output) {
    const int32_t across = (s->output_width + 1) / 2;
    const int32_t count = across * ((s->output_height + 1) / 2);
    for (int32_t i = 0; i < 2 && tile < count; ++i, ++tile) {
        const int32_t y = tile / across * 2, x = tile % across * 2;
        const int32_t rows = s->output_height % 2 == 0 ? 2 : s->output_height - y;
        const int32_t columns = s->output_width % 2 == 0 ? 2 : s->output_width - x;
        int8_t *const to = output + (y * s->output_width + x) * s->output_channels;
#pragma GCC unroll 1
        for (int32_t j = 0; j < n; ++j) {
            edgecnn_winograd2_finish(s, sums + 4 * (2 * j + i),
                                     channels + j * EDGECNN_CHANNEL_WORDS, rows, columns, to + j);
        }
    }
}

/* --- layer ------------------------------------------------------------------------------------ */

/* scratch: [positions][pairs of channels][2 tiles], then [positions][4 filters][2 tiles] of sums,
 * whose place is that of tiles on their way before. */
EDGECNN_SPECIALIZED void edgecnn_conv2d_winograd2(const edgecnn_winograd_shape *s,
                                                  const edgecnn_winograd_params *p,
                                                  const int8_t *input, int8_t *scratch,
                                                  int8_t *output) {
    const int32_t pairs = (s->input_channels + 3) / 4 * 2;
    const int32_t across = (s->output_width + 1) / 2;
    const int32_t count = across * ((s->output_height + 1) / 2);
    int8_t *const sums = scratch + EDGECNN_WINOGRAD2_POSITIONS * pairs * EDGECNN_TILE_STEP;
    for (int32_t tile = 0; tile < count; tile += 2) {
        for (int32_t i = 0; i < 2 && tile + i < count; ++i) {
            const int32_t top = (tile + i) / across * 2, left = (tile + i) % across * 2;
            edgecnn_winograd2_tile(s, input, top - s->pad_top, left - s->pad_left, sums,
                                   scratch + 4 * i);
        }
        const int8_t *weights = (const int8_t *)p->weights;
        const int32_t *channels = p->channels;
        for (int32_t c = 0; c < s->output_channels; c += EDGECNN_FILTERS) {
            const int32_t n = edgecnn_clamp(s->output_channels - c, 0, EDGECNN_FILTERS);
            edgecnn_winograd_products(weights, scratch, EDGECNN_WINOGRAD2_POSITIONS, pairs, sums);
            edgecnn_winograd2_outputs_of(s, sums, channels, tile, n, output + c);
            weights += 4 * EDGECNN_WINOGRAD2_POSITIONS * pairs * EDGECNN_FILTERS;
            channels += EDGECNN_FILTERS * EDGECNN_CHANNEL_WORDS;
        }
    }
}

#endif
