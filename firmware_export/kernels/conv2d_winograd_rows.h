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
 * 1 in every position, so that it is added to each of them. The biases make up for all of that. */
#ifndef EDGECNN_CONV2D_WINOGRAD_ROWS_H
#define EDGECNN_CONV2D_WINOGRAD_ROWS_H

#include "edgecnn_winograd.h"

typedef edgecnn_winograd_shape edgecnn_conv2d_winograd_rows_shape;
typedef struct {
    const int32_t *weights;  /* [filters / 4][6][3 rows][pairs of channels][4], pairs of int16 */
    const int32_t *channels; /* [filters, filled up to fours][5] */
} edgecnn_conv2d_winograd_rows_params;

enum {
    EDGECNN_WINOGRAD_ROWS_OFFSET = 2048,
    EDGECNN_WINOGRAD_ROWS_SIDE = 6, /* pixels, and positions, of a tile */
    EDGECNN_WINOGRAD_ROWS_OUTPUTS = 4,
    EDGECNN_WINOGRAD_ROWS_STEP = 12, /* pairs in a step of the loop over many */
    /* of a line of the table of channels: twice the bias of outputs 0 and 1, multiplier, right
     * shift less one, and twice the biases of outputs 2 and 3 */
    EDGECNN_WINOGRAD_ROWS_BIAS_2 = 3,
    EDGECNN_WINOGRAD_ROWS_BIAS_3,
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

/* Transform six pixels of whole words; bytes: between positions, and between pairs. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_words(const int8_t *from, int32_t depth,
                                                     int32_t bytes, int32_t pair_bytes,
                                                     int8_t *to) {
    const int8_t *const end = from + depth;
    uint32_t middle = 0x00800080u, last = middle + EDGECNN_WINOGRAD_ROWS_OFFSET;
    EDGECNN_SETTLE_2(middle, last);
#pragma GCC unroll 1
    for (; from != end; from += 4) {
        uint32_t x[6];
        EDGECNN_OPAQUE(from);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_load(from + i * depth);
        }
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_sxtab16(i < 4 ? middle : last, x[i]);
        }
        edgecnn_winograd_rows_forward(x, bytes, to);
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_winograd_load(from + i * depth);
        }
#pragma GCC unroll 6
        for (int32_t i = 0; i < 6; ++i) {
            x[i] = edgecnn_sxtab16_ror8(i < 4 ? middle : last, x[i]);
        }
        edgecnn_winograd_rows_forward(x, bytes, to + pair_bytes);
        to += 2 * pair_bytes;
    }
}

/* Copy six pixels, with the zero point outside of the image, and whole words of channels. What
 * comes behind the channels of a pixel has weights of zero: it is the next one, where there is one.
 */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_gather(const edgecnn_winograd_shape *s,
                                                      const int8_t *input, int32_t y, int32_t left,
                                                      int8_t *to) {
    const int32_t channels = s->input_channels, depth = (channels + 3) / 4 * 4;
    const int32_t is_inside = y >= 0 && y < s->input_height;
    const int32_t behind = s->input_height * s->input_width * channels;
    int32_t at = (y * s->input_width + left) * channels;
#pragma GCC unroll 1
    for (int32_t x = left; x < left + EDGECNN_WINOGRAD_ROWS_SIDE; ++x) {
        if (!is_inside || x < 0 || x >= s->input_width) {
            edgecnn_winograd_fill(s->input_zero_point, depth, to);
        } else if (channels == depth || at + depth <= behind) {
#pragma GCC unroll 4
            for (int32_t i = 0; i < depth; i += 4) {
                edgecnn_store(to + i, edgecnn_load(input + at + i));
            }
        } else {
            for (int32_t i = 0; i < channels; ++i) {
                to[i] = input[at + i];
            }
        }
        at += channels;
        to += depth;
    }
}

/* Transform the tile at (top, left), one of so many. scratch: of six pixels. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_tile(const edgecnn_winograd_shape *s,
                                                    const int8_t *input, int32_t top, int32_t left,
                                                    int32_t tiles, int8_t *scratch, int8_t *to) {
    const int32_t depth = (s->input_channels + 3) / 4 * 4;
    const int32_t row_bytes = depth / 2 * 4 * tiles;
    const int32_t is_direct = depth == s->input_channels && left >= 0 &&
                              left + EDGECNN_WINOGRAD_ROWS_SIDE <= s->input_width;
#pragma GCC unroll 1
    for (int32_t y = top; y < top + 3; ++y) {
        const int8_t *from = scratch;
        if (is_direct && y >= 0 && y < s->input_height) {
            from = input + (y * s->input_width + left) * depth;
        } else {
            edgecnn_winograd_rows_gather(s, input, y, left, scratch);
        }
        edgecnn_winograd_rows_words(from, depth, 3 * row_bytes, 4 * tiles, to);
        to += row_bytes;
    }
}

/* --- products --------------------------------------------------------------------------------- */

/* Sums of all positions, [6][4 filters][2 tiles], over pairs of all rows and channels. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_unrolled(const int8_t *u, const int8_t *v,
                                                        int32_t pairs, int8_t *sums) {
    const int8_t *const end = sums + EDGECNN_WINOGRAD_ROWS_SIDE * 4 * EDGECNN_SUMS;
#pragma GCC unroll 1
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        int32_t s[EDGECNN_SUMS];
        edgecnn_winograd_first_pair(&u, &v, s);
#pragma GCC unroll 24
        for (int32_t i = 1; i < pairs; ++i) {
            edgecnn_winograd_pair(&u, &v, s);
        }
        edgecnn_winograd_store_sums(s, sums);
    }
}

/* Functions of their own, since sums, pointers and loaded words take all of the registers. */
EDGECNN_FUNCTION void edgecnn_winograd_rows_products_6(const int8_t *u, const int8_t *v,
                                                       int8_t *sums) {
    edgecnn_winograd_rows_unrolled(u, v, 6, sums);
}
EDGECNN_FUNCTION void edgecnn_winograd_rows_products_12(const int8_t *u, const int8_t *v,
                                                        int8_t *sums) {
    edgecnn_winograd_rows_unrolled(u, v, 12, sums);
}
EDGECNN_FUNCTION void edgecnn_winograd_rows_products_24(const int8_t *u, const int8_t *v,
                                                        int8_t *sums) {
    edgecnn_winograd_rows_unrolled(u, v, 24, sums);
}

/* The same of any number of steps; bytes: of a position of v. */
EDGECNN_FUNCTION void edgecnn_winograd_rows_products_n(const int8_t *u, const int8_t *v,
                                                       int32_t bytes, int8_t *sums) {
    const int8_t *const end = sums + EDGECNN_WINOGRAD_ROWS_SIDE * 4 * EDGECNN_SUMS;
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        const int8_t *const volatile behind = v + bytes; /* in memory: no register is left */
        int32_t s[EDGECNN_SUMS] = {0, 0, 0, 0, 0, 0, 0, 0};
        do {
#pragma GCC unroll 12
            for (int32_t i = 0; i < EDGECNN_WINOGRAD_ROWS_STEP; ++i) {
                edgecnn_winograd_pair(&u, &v, s);
            }
            EDGECNN_SETTLE_4(s[0], s[1], s[2], s[3]); /* else gcc spills one of them */
            EDGECNN_SETTLE_4(s[4], s[5], s[6], s[7]);
        } while (v != behind);
        edgecnn_winograd_store_sums(s, sums);
    }
}

EDGECNN_SPECIALIZED void edgecnn_winograd_rows_products(const int8_t *u, const int8_t *v,
                                                        int32_t pairs, int8_t *sums) {
    if (pairs == 6) {
        edgecnn_winograd_rows_products_6(u, v, sums);
    } else if (pairs == 12) {
        edgecnn_winograd_rows_products_12(u, v, sums);
    } else if (pairs == 24) {
        edgecnn_winograd_rows_products_24(u, v, sums);
    } else if (pairs % EDGECNN_WINOGRAD_ROWS_STEP == 0) {
        edgecnn_winograd_rows_products_n(u, v, pairs * EDGECNN_TILE_STEP, sums);
    } else {
        edgecnn_winograd_products(u, v, EDGECNN_WINOGRAD_ROWS_SIDE, pairs, sums);
    }
}

/* --- output ----------------------------------------------------------------------------------- */

/* The outputs of one filter and tile, as many as are in the image. They come with 24 in front.
 *
 * twelfth: of 2^32, less a third. The high word of its product with them, rounded, is twice the sum
 * without the 24, since they are below 2^31; and the bias is added as it is formed. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_finish(const edgecnn_winograd_shape *s,
                                                      const int8_t *sums, int32_t tiles,
                                                      const int32_t *channel, int32_t twelfth,
                                                      int32_t columns, int8_t *output) {
    uint32_t m[6];
#pragma GCC unroll 6
    for (int32_t i = 0; i < 6; ++i) {
        m[i] = edgecnn_winograd_load(sums + i * 4 * EDGECNN_FILTERS * tiles);
    }
    const uint32_t sum = m[1] + m[2], difference = m[1] - m[2];
    const uint32_t sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    uint32_t y[4] = {m[0] + sum + sum2, difference + (difference2 << 1), sum + (sum2 << 2),
                     difference + (difference2 << 3) + (m[5] << 1)};
    EDGECNN_SETTLE_4(y[0], y[1], y[2], y[3]);
    EDGECNN_SETTLE_1(channel); /* read now, and for each tile, instead of kept beside all else */
    const int32_t multiplier = channel[EDGECNN_MULTIPLIER], shift = channel[EDGECNN_SHIFT];
    const int32_t bias[4] = {channel[EDGECNN_BIAS], channel[EDGECNN_BIAS],
                             channel[EDGECNN_WINOGRAD_ROWS_BIAS_2],
                             channel[EDGECNN_WINOGRAD_ROWS_BIAS_3]};
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        if (i < columns) {
            const int32_t doubled = edgecnn_smmlar((int32_t)y[i], twelfth, bias[i]);
            output[i * s->output_channels] = edgecnn_requantize_doubled(
                doubled, multiplier, shift, s->output_zero_point, s->activation_min,
                s->activation_max);
        }
    }
}

/* Outputs of a tile that begins at one of its row. */
EDGECNN_SPECIALIZED int32_t edgecnn_winograd_rows_columns(const edgecnn_winograd_shape *s,
                                                          int32_t x) {
    const int32_t size = EDGECNN_WINOGRAD_ROWS_OUTPUTS;
    return s->output_width % size == 0 ? size : edgecnn_clamp(s->output_width - x, 0, size);
}

/* n filters of one tile or two, of which the second one may be missing. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_outputs(const edgecnn_winograd_shape *s,
                                                       const int8_t *sums, int32_t tiles,
                                                       const int32_t *channels, int32_t tile,
                                                       int32_t n, int8_t *output) {
    const int32_t size = EDGECNN_WINOGRAD_ROWS_OUTPUTS;
    const int32_t across = (s->output_width + size - 1) / size;
    const int32_t has_second = tiles == 2 && tile + 1 < across * s->output_height;
    const int32_t y = tile / across, x = tile % across * size;
    const int32_t next_y = (tile + 1) / across, next_x = (tile + 1) % across * size;
    const int32_t apart = ((next_y - y) * s->output_width + next_x - x) * s->output_channels;
    int32_t twelfth = 357913941;
    EDGECNN_SETTLE_1(twelfth); /* in a register: else Clang builds it anew each time */
    output += (y * s->output_width + x) * s->output_channels;
#pragma GCC unroll 1
    for (int32_t j = 0; j < n; ++j) {
        edgecnn_winograd_rows_finish(s, sums, tiles, channels, twelfth,
                                     edgecnn_winograd_rows_columns(s, x), output);
        if (has_second) {
            edgecnn_winograd_rows_finish(s, sums + 4, tiles, channels, twelfth,
                                         edgecnn_winograd_rows_columns(s, next_x), output + apart);
        }
        channels += EDGECNN_WINOGRAD_ROWS_CHANNEL_WORDS;
        sums += 4 * tiles;
        ++output;
    }
}

/* --- layer ------------------------------------------------------------------------------------ */

/* Sums of all positions, [6][4 filters][tiles], over pairs of all rows and channels. */
typedef void edgecnn_winograd_rows_multiply(const int8_t *u, const int8_t *v, int32_t pairs,
                                            int8_t *sums);

/* One or two tiles at a time. scratch: [6][3 rows][pairs of channels][tiles], then [6][4 filters]
 * [tiles] of sums, whose place is that of six pixels on their way before. */
EDGECNN_SPECIALIZED void edgecnn_winograd_rows_layer(const edgecnn_winograd_shape *s,
                                                     const edgecnn_conv2d_winograd_rows_params *p,
                                                     int32_t tiles,
                                                     edgecnn_winograd_rows_multiply *multiply,
                                                     const int8_t *input, int8_t *scratch,
                                                     int8_t *output) {
    enum { SIDE = EDGECNN_WINOGRAD_ROWS_SIDE, OUTPUTS = EDGECNN_WINOGRAD_ROWS_OUTPUTS };
    const int32_t pairs = (s->input_channels + 3) / 4 * 2 * 3;
    const int32_t across = (s->output_width + OUTPUTS - 1) / OUTPUTS;
    const int32_t count = across * s->output_height;
    int8_t *const sums = scratch + SIDE * pairs * 4 * tiles;
    for (int32_t tile = 0; tile < count; tile += tiles) {
        for (int32_t i = 0; i < tiles && tile + i < count; ++i) {
            const int32_t top = (tile + i) / across, left = (tile + i) % across * OUTPUTS;
            edgecnn_winograd_rows_tile(s, input, top - s->pad_top, left - s->pad_left, tiles, sums,
                                       scratch + 4 * i);
        }
        const int8_t *weights = (const int8_t *)p->weights;
        const int32_t *channels = p->channels;
        for (int32_t c = 0; c < s->output_channels; c += EDGECNN_FILTERS) {
            const int32_t n = edgecnn_clamp(s->output_channels - c, 0, EDGECNN_FILTERS);
            multiply(weights, scratch, pairs, sums);
            edgecnn_winograd_rows_outputs(s, sums, tiles, channels, tile, n, output + c);
            weights += 4 * SIDE * pairs * EDGECNN_FILTERS;
            channels += EDGECNN_FILTERS * EDGECNN_WINOGRAD_ROWS_CHANNEL_WORDS;
        }
    }
}

EDGECNN_SPECIALIZED void edgecnn_conv2d_winograd_rows(const edgecnn_winograd_shape *s,
                                                      const edgecnn_conv2d_winograd_rows_params *p,
                                                      const int8_t *input, int8_t *scratch,
                                                      int8_t *output) {
    edgecnn_winograd_rows_layer(s, p, 2, edgecnn_winograd_rows_products, input, scratch, output);
}

#endif
