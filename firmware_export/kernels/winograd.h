/* What Winograd's algorithms for 3x3 convolutions have in common: tiles at the border; and the
 * products, for every position of the transformed tiles, of four filters with two tiles, two
 * channels at once. */
#ifndef EDGECNN_WINOGRAD_H
#define EDGECNN_WINOGRAD_H

#include "edgecnn_dsp.h"

/* Sums of a position: four filters, each with two tiles; and bytes of a pair of channels of two
 * tiles. */
enum { EDGECNN_FILTERS = 4, EDGECNN_SUMS = 8, EDGECNN_TILE_STEP = 8 };

typedef struct {
    const int32_t *weights;  /* [filters / 4][positions][pairs of channels][4], pairs of int16 */
    const int32_t *channels; /* a line for each filter, filled up to fours */
} edgecnn_winograd_params;

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_winograd_shape;

/* --- words at addresses that are multiples of 4, as tensors and scratch are ------------------- */

/* Some cores have instructions for no others. Where there is a choice compilers had better not know
 * it: of several words they make LDRD and STM, which take longer, and registers in some order. */
#if defined(__GNUC__) && !EDGECNN_HAS_DSP
#define EDGECNN_ALIGNED(address) __builtin_assume_aligned(address, 4)
#else
#define EDGECNN_ALIGNED(address) (address)
#endif

EDGECNN_SPECIALIZED uint32_t edgecnn_winograd_load(const void *from) {
    return edgecnn_load(EDGECNN_ALIGNED(from));
}

EDGECNN_SPECIALIZED void edgecnn_winograd_store(void *to, uint32_t word) {
    edgecnn_store(EDGECNN_ALIGNED(to), word);
}

/* --- tiles at the border, or with channels that do not fill words ----------------------------- */

EDGECNN_SPECIALIZED int8_t *edgecnn_winograd_fill(int32_t value, int32_t bytes, int8_t *to) {
    const uint32_t word = ((uint32_t)value & 0xFFu) * 0x01010101u;
#pragma GCC unroll 4
    for (int32_t i = bytes; i > 0; i -= 4) {
        edgecnn_winograd_store(to, word);
        to += 4;
    }
    return to;
}

/* What comes behind the channels of a pixel has weights of zero. */
EDGECNN_SPECIALIZED int8_t *edgecnn_winograd_copy(const int8_t *from, int32_t pixels,
                                                  int32_t channels, int32_t depth, int8_t *to) {
    if (channels == depth) {
#pragma GCC unroll 4
        for (int32_t i = pixels * depth; i > 0; i -= 4) {
            edgecnn_winograd_store(to, edgecnn_winograd_load(from));
            from += 4;
            to += 4;
        }
        return to;
    }
    for (int32_t i = pixels; i > 0; --i) {
        for (int32_t j = 0; j < channels; ++j) {
            to[j] = from[j];
        }
        from += channels;
        to += depth;
    }
    return to;
}

/* Copy the tile at (top, left), with the zero point outside of the image, and whole words of
 * channels. */
EDGECNN_FUNCTION void edgecnn_winograd_gather(const edgecnn_winograd_shape *s,
                                              const int8_t *input, int32_t top, int32_t left,
                                              int32_t side, int8_t *to) {
    const int32_t depth = (s->input_channels + 3) / 4 * 4;
    const int32_t begin = edgecnn_clamp(-left, 0, side);
    const int32_t end = edgecnn_clamp(s->input_width - left, begin, side);
    for (int32_t y = top; y < top + side; ++y) {
        const int32_t is_inside = y >= 0 && y < s->input_height && begin < end;
        const int32_t before = is_inside ? begin : side;
        to = edgecnn_winograd_fill(s->input_zero_point, before * depth, to);
        if (is_inside) {
            const int8_t *row = input + y * s->input_width * s->input_channels;
            to = edgecnn_winograd_copy(row + (left + begin) * s->input_channels, end - begin,
                                       s->input_channels, depth, to);
            to = edgecnn_winograd_fill(s->input_zero_point, (side - end) * depth, to);
        }
    }
}

/* Bytes 0 and 2 plus 128, as a pair; and bytes 1 and 3. */
EDGECNN_SPECIALIZED uint32_t edgecnn_winograd_even(uint32_t bytes) {
#if EDGECNN_HAS_DSP
    return edgecnn_sxtab16(0x00800080u, bytes);
#else
    return (bytes ^ 0x00800080u) & 0x00FF00FFu;
#endif
}
EDGECNN_SPECIALIZED uint32_t edgecnn_winograd_odd(uint32_t bytes) {
#if EDGECNN_HAS_DSP
    return edgecnn_sxtab16_ror8(0x00800080u, bytes);
#else
    return edgecnn_winograd_even(bytes >> 8);
#endif
}

/* --- products --------------------------------------------------------------------------------- */

/* The next pair of channels, and the first one; sums, [4 filters][2 tiles], wrap around. */
EDGECNN_SPECIALIZED void edgecnn_winograd_pair(const int8_t **u, const int8_t **v,
                                               int32_t sums[EDGECNN_SUMS]) {
    uint32_t inputs[2], weights[2];
    edgecnn_load_next_of_two(v, inputs, u, weights);
    edgecnn_smlad_2x2(weights, inputs, sums);
    edgecnn_load_next(u, weights);
    edgecnn_smlad_2x2(weights, inputs, sums + 4);
}
EDGECNN_SPECIALIZED void edgecnn_winograd_first_pair(const int8_t **u, const int8_t **v,
                                                     int32_t sums[EDGECNN_SUMS]) {
    uint32_t inputs[2], weights[2];
    edgecnn_load_next_of_two(v, inputs, u, weights);
    edgecnn_smuad_2x2(weights, inputs, sums);
    edgecnn_load_next(u, weights);
    edgecnn_smuad_2x2(weights, inputs, sums + 4);
}

EDGECNN_SPECIALIZED void edgecnn_winograd_two_pairs(const int8_t **u, const int8_t **v,
                                                    int32_t sums[EDGECNN_SUMS]) {
    edgecnn_winograd_pair(u, v, sums);
    edgecnn_winograd_pair(u, v, sums);
}

EDGECNN_SPECIALIZED void edgecnn_winograd_store_sums(const int32_t sums[EDGECNN_SUMS],
                                                     int8_t *to) {
#pragma GCC unroll 8
    for (int32_t i = 0; i < EDGECNN_SUMS; ++i) {
        edgecnn_winograd_store(to + 4 * i, (uint32_t)sums[i]);
    }
}

/* Sums of all positions: [positions][4 filters][2 tiles]. */
EDGECNN_SPECIALIZED void edgecnn_winograd_unrolled(const int8_t *u, const int8_t *v,
                                                   int32_t pairs, int8_t *sums,
                                                   const int8_t *end) {
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        int32_t s[EDGECNN_SUMS];
        edgecnn_winograd_first_pair(&u, &v, s);
#pragma GCC unroll 8
        for (int32_t i = 1; i < pairs; ++i) {
            edgecnn_winograd_pair(&u, &v, s);
        }
        edgecnn_winograd_store_sums(s, sums);
    }
}

/* Functions of their own, since sums, pointers and loaded words take all of the registers. */
EDGECNN_FUNCTION void edgecnn_winograd_products_2(const int8_t *u, const int8_t *v, int8_t *sums,
                                                  const int8_t *end) {
    edgecnn_winograd_unrolled(u, v, 2, sums, end);
}
EDGECNN_FUNCTION void edgecnn_winograd_products_4(const int8_t *u, const int8_t *v, int8_t *sums,
                                                  const int8_t *end) {
    edgecnn_winograd_unrolled(u, v, 4, sums, end);
}
EDGECNN_FUNCTION void edgecnn_winograd_products_8(const int8_t *u, const int8_t *v, int8_t *sums,
                                                  const int8_t *end) {
    edgecnn_winograd_unrolled(u, v, 8, sums, end);
}
EDGECNN_FUNCTION void edgecnn_winograd_products_n(const int8_t *u, const int8_t *v, int32_t pairs,
                                                  int8_t *sums, const int8_t *end) {
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        int32_t s[EDGECNN_SUMS] = {0, 0, 0, 0, 0, 0, 0, 0};
        volatile int32_t left = pairs; /* in memory: else compilers spill sums instead */
        while (left >= 8) {
            edgecnn_winograd_two_pairs(&u, &v, s);
            edgecnn_winograd_two_pairs(&u, &v, s);
            edgecnn_winograd_two_pairs(&u, &v, s);
            edgecnn_winograd_two_pairs(&u, &v, s);
            left -= 8;
        }
        while (left > 0) {
            edgecnn_winograd_two_pairs(&u, &v, s);
            left -= 2;
        }
        edgecnn_winograd_store_sums(s, sums);
    }
}

EDGECNN_SPECIALIZED void edgecnn_winograd_products(const int8_t *u, const int8_t *v,
                                                   int32_t positions, int32_t pairs,
                                                   int8_t *sums) {
    const int8_t *const end = sums + positions * 4 * EDGECNN_SUMS;
    if (pairs == 2) {
        edgecnn_winograd_products_2(u, v, sums, end);
    } else if (pairs == 4) {
        edgecnn_winograd_products_4(u, v, sums, end);
    } else if (pairs == 8) {
        edgecnn_winograd_products_8(u, v, sums, end);
    } else {
        edgecnn_winograd_products_n(u, v, pairs, sums, end);
    }
}

#endif
