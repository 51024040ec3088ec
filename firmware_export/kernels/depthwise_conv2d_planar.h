/* 2-D depthwise convolution on planes: the pixels of four channels at a time are sorted into a
 * plane each, widened to int16, with the padding around them, so that two neighbours of a row are
 * one word and SMLAD multiplies both.
 *
 * Rows and columns are those of the planes; export swaps them with the image's where that is
 * faster. Outputs are computed in blocks of two rows and two columns: at an even column a window
 * starts with a whole word, at an odd one with the high half of a word. A word of weights holds
 * the bytes (w0, w1, w1, w2), of which SXTB16 makes the pairs for both, (w0, w1) and (w1, w2).
 * Weights and bias are doubled, so that sums are as SMMLAR wants them. */
#ifndef EDGECNN_DEPTHWISE_CONV2D_PLANAR_H
#define EDGECNN_DEPTHWISE_CONV2D_PLANAR_H

#include "edgecnn_dsp.h"

typedef struct {
    const int8_t *weights;   /* [output channels][kernel rows][pairs][4] */
    const int32_t *channels; /* [output channels][3]: see edgecnn_dsp.h; the bias doubled */
} edgecnn_depthwise_conv2d_planar_params;

typedef struct {
    int32_t input_rows, input_columns; /* columns that windows reach */
    int32_t input_row_step, input_column_step;
    int32_t input_channels, depth_multiplier;
    int32_t output_rows, output_columns;
    int32_t output_row_step, output_column_step;
    int32_t kernel_rows, kernel_columns;
    int32_t stride_rows, stride_columns;
    int32_t pad_rows, pad_columns;
    int32_t strip_rows; /* of the output, whose inputs are in the planes at a time */
    int32_t plane_rows, plane_words;
    int32_t block_rows; /* 2, or 1 for large windows */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_depthwise_conv2d_planar_shape;

enum {
    EDGECNN_PLANES = 4,
    EDGECNN_WINDOW_WORDS = 9, /* of a row under the windows of two columns, at most */
    EDGECNN_KEPT_WEIGHTS = 16, /* words: of a row, or of the whole filter for blocks of two rows */
    EDGECNN_LOCAL_WEIGHTS = 8, /* words of a filter that fits on the stack */
    EDGECNN_UNROLLED_ROWS = 8
};

/* A filter in memory, in words: as in the table of channels; what requantization adds; weights. */
enum { EDGECNN_FILTER_OFFSET = EDGECNN_CHANNEL_WORDS, EDGECNN_FILTER_WEIGHTS };

/* --- planes: [rows][4 channels][words] -------------------------------------------------------- */

/* Sort two pixels of four channels into a word for each plane. */
EDGECNN_SPECIALIZED void edgecnn_planar_put(uint32_t left, uint32_t right, int32_t words,
                                            int8_t *to) {
    const uint32_t first = edgecnn_pkhbt_lsl16(left, right);
    const uint32_t last = edgecnn_pkhtb_asr16(right, left);
    edgecnn_store(to, edgecnn_sxtb16(first));
    edgecnn_store(to + 4 * words, edgecnn_sxtb16_ror8(first));
    edgecnn_store(to + 8 * words, edgecnn_sxtb16(last));
    edgecnn_store(to + 12 * words, edgecnn_sxtb16_ror8(last));
}

/* Four channels of a pixel, or as many as there are. */
EDGECNN_SPECIALIZED uint32_t edgecnn_planar_pixel(const int8_t *from, int32_t channels) {
    if (channels >= EDGECNN_PLANES) {
        return edgecnn_load(from);
    }
    uint32_t word = (uint8_t)from[0];
    if (channels > 1) {
        word |= (uint32_t)(uint8_t)from[1] << 8;
    }
    if (channels > 2) {
        word |= (uint32_t)(uint8_t)from[2] << 16;
    }
    return word;
}

EDGECNN_SPECIALIZED void edgecnn_planar_fill(int8_t *to, int32_t zero_point, int32_t words) {
    const uint32_t pair = edgecnn_pair(zero_point, zero_point);
#pragma GCC unroll 4
    for (int32_t i = 0; i < words; ++i) {
        edgecnn_store(to + 4 * i, pair);
    }
}

/* Widen a row of the image into the four planes; words that are all padding stay as they are. */
EDGECNN_SPECIALIZED void edgecnn_planar_widen(const edgecnn_depthwise_conv2d_planar_shape *s,
                                              const int8_t *from, int8_t *to) {
    const uint32_t outside = (s->input_zero_point & 0xFF) * (uint32_t)0x01010101;
    const int32_t step = s->input_column_step, words = s->plane_words;
    int32_t left = s->input_columns;
    to += s->pad_columns / 2 * 4;
    if (s->pad_columns % 2 == 1) {
        edgecnn_planar_put(outside, edgecnn_planar_pixel(from, s->input_channels), words, to);
        from += step;
        to += 4;
        left -= 1;
    }
#pragma GCC unroll 2
    for (int32_t i = left / 2; i > 0; --i) {
        const uint32_t a = edgecnn_planar_pixel(from, s->input_channels);
        const uint32_t b = edgecnn_planar_pixel(from + step, s->input_channels);
        edgecnn_planar_put(a, b, words, to);
        from += 2 * step;
        to += 4;
    }
    if (left % 2 == 1) {
        edgecnn_planar_put(edgecnn_planar_pixel(from, s->input_channels), outside, words, to);
    }
}

/* Move the last rows of the planes, which the next strip has under its first windows, up. Loads
 * cost less right behind each other, and compilers do not make a call of memmove of them. */
EDGECNN_SPECIALIZED void edgecnn_planar_keep(const edgecnn_depthwise_conv2d_planar_shape *s,
                                             int32_t kept, int8_t *planes) {
    const int32_t row_words = EDGECNN_PLANES * s->plane_words;
    const int8_t *from = planes + 4 * row_words * (s->plane_rows - kept);
    const int8_t *const end = planes + 4 * row_words * s->plane_rows;
    while (from != end) {
        uint32_t words[EDGECNN_PLANES];
#pragma GCC unroll 4
        for (int32_t i = 0; i < EDGECNN_PLANES; ++i) {
            words[i] = edgecnn_load_now(from + 4 * i);
        }
#pragma GCC unroll 4
        for (int32_t i = 0; i < EDGECNN_PLANES; ++i) {
            edgecnn_store(planes + 4 * i, words[i]);
        }
        from += 4 * EDGECNN_PLANES;
        planes += 4 * EDGECNN_PLANES;
    }
}

/* Fill n rows of the planes from one on with those of the image from top on; rows outside the image
 * are filled where the planes do not hold all of it, and so had other rows in them. */
EDGECNN_SPECIALIZED void edgecnn_planar_gather(const edgecnn_depthwise_conv2d_planar_shape *s,
                                               const int8_t *input, int32_t top, int32_t n,
                                               int8_t *planes) {
    const int32_t row_words = EDGECNN_PLANES * s->plane_words;
    for (int32_t y = top; y < top + n; ++y) {
        if (y >= 0 && y < s->input_rows) {
            edgecnn_planar_widen(s, input + y * s->input_row_step, planes);
        } else if (s->strip_rows < s->output_rows) {
            edgecnn_planar_fill(planes, s->input_zero_point, row_words);
        }
        planes += 4 * row_words;
    }
}

/* --- blocks of outputs ------------------------------------------------------------------------ */

/* A filter in pairs: for each packed word, the pair for even columns and that for odd ones. */
EDGECNN_SPECIALIZED void edgecnn_planar_weights(const int8_t *packed, int32_t words, int8_t *to) {
#pragma GCC unroll 4
    for (int32_t i = 0; i < words; ++i) {
        const uint32_t word = edgecnn_load(packed + 4 * i);
        const uint32_t even = edgecnn_sxtb16(word), odd = edgecnn_sxtb16_ror8(word);
        edgecnn_store(to + 8 * i, edgecnn_sadd16(even, even));
        edgecnn_store(to + 8 * i + 4, edgecnn_sadd16(odd, odd));
    }
}

/* Add the products of one row of a filter of n columns with pixels that start with a word. */
EDGECNN_SPECIALIZED int32_t edgecnn_planar_even(const uint32_t *w, const uint32_t *x, int32_t n,
                                                int32_t sum) {
#pragma GCC unroll 8
    for (int32_t i = 0; i < n / 2; ++i) {
        sum = edgecnn_smlad(w[2 * i], x[i], sum);
    }
    return n % 2 == 0 ? sum : edgecnn_smlatb(w[n - 2], x[n / 2], sum);
}

/* The same with pixels that start in the middle of a word. */
EDGECNN_SPECIALIZED int32_t edgecnn_planar_odd(const uint32_t *w, const uint32_t *x, int32_t n,
                                               int32_t sum) {
    sum = edgecnn_smlabt(w[0], x[0], sum);
#pragma GCC unroll 8
    for (int32_t i = 0; i < n / 2; ++i) {
        sum = edgecnn_smlad(w[2 * i + 1], x[i + 1], sum);
    }
    return sum;
}

/* Add one row under the windows to the sums of one row of the block. */
EDGECNN_SPECIALIZED void edgecnn_planar_row(const edgecnn_depthwise_conv2d_planar_shape *s,
                                            const uint32_t *w, const uint32_t *x, int32_t columns,
                                            int32_t sums[2]) {
    const int32_t n = s->kernel_columns, step = s->stride_columns;
    sums[0] = edgecnn_sum_now(edgecnn_planar_even(w, x, n, sums[0]));
    if (columns == 2) {
        sums[1] = edgecnn_sum_now(step % 2 == 0 ? edgecnn_planar_even(w, x + step / 2, n, sums[1])
                                                : edgecnn_planar_odd(w, x + step / 2, n, sums[1]));
    }
}

/* Add row i under the windows of a block to the sums that it belongs to. Weights stay for the
 * block's second row, and are loaded together with the pixels, which costs one cycle each. */
EDGECNN_SPECIALIZED void edgecnn_planar_step(const edgecnn_depthwise_conv2d_planar_shape *s,
                                             const int8_t *f, const int8_t *from, int32_t i,
                                             int32_t rows, int32_t columns, uint32_t *weights,
                                             int32_t sums[2][2]) {
    const int32_t reach = s->kernel_columns + (columns - 1) * s->stride_columns;
    const int32_t n = s->kernel_columns / 2 * 2;
    uint32_t *const w = weights + (rows == 2 ? i * n : 0);
    uint32_t x[EDGECNN_WINDOW_WORDS];
#pragma GCC unroll 9
    for (int32_t k = 0; k < (reach + 1) / 2; ++k) {
        x[k] = edgecnn_load_now(from + 4 * (i * EDGECNN_PLANES * s->plane_words + k));
    }
    if (i < s->kernel_rows) {
#pragma GCC unroll 16
        for (int32_t k = 0; k < n; ++k) {
            w[k] = edgecnn_load_now(f + 4 * (EDGECNN_FILTER_WEIGHTS + i * n + k));
        }
        edgecnn_planar_row(s, w, x, columns, sums[0]);
    }
    if (rows == 2 && i >= s->stride_rows) {
        edgecnn_planar_row(s, w - s->stride_rows * n, x, columns, sums[1]);
    }
}

/* The sums of a block of outputs. */
EDGECNN_SPECIALIZED void edgecnn_planar_sums(const edgecnn_depthwise_conv2d_planar_shape *s,
                                             const int8_t *f, const int8_t *from, int32_t rows,
                                             int32_t columns, int32_t sums[2][2]) {
    uint32_t weights[EDGECNN_KEPT_WEIGHTS];
    const int32_t n = s->kernel_rows + (rows - 1) * s->stride_rows;
    if (n <= EDGECNN_UNROLLED_ROWS) {
#pragma GCC unroll 8
        for (int32_t i = 0; i < n; ++i) {
            edgecnn_planar_step(s, f, from, i, rows, columns, weights, sums);
        }
    } else {
        for (int32_t i = 0; i < n; ++i) {
            edgecnn_planar_step(s, f, from, i, rows, columns, weights, sums);
        }
    }
}

/* A block of outputs. */
EDGECNN_SPECIALIZED void edgecnn_planar_block(const edgecnn_depthwise_conv2d_planar_shape *s,
                                              const int8_t *f, const int8_t *from, int32_t rows,
                                              int32_t columns, int8_t *output) {
    const int32_t bias = (int32_t)edgecnn_load_now(f + 4 * EDGECNN_BIAS);
    int32_t sums[2][2] = {{bias, bias}, {bias, bias}};
    edgecnn_planar_sums(s, f, from, rows, columns, sums);
    const int32_t multiplier = (int32_t)edgecnn_load_now(f + 4 * EDGECNN_MULTIPLIER);
    const int32_t shift = (int32_t)edgecnn_load_now(f + 4 * EDGECNN_SHIFT);
    const int32_t offset = (int32_t)edgecnn_load_now(f + 4 * EDGECNN_FILTER_OFFSET);
#pragma GCC unroll 2
    for (int32_t i = 0; i < rows; ++i) {
#pragma GCC unroll 2
        for (int32_t k = 0; k < columns; ++k) {
            output[i * s->output_row_step + k * s->output_column_step] =
                edgecnn_requantize_with_offset(sums[i][k], multiplier, shift, offset,
                                               s->output_zero_point, s->activation_min,
                                               s->activation_max);
        }
    }
}

/* One or two rows of the output. */
EDGECNN_SPECIALIZED void edgecnn_planar_line(const edgecnn_depthwise_conv2d_planar_shape *s,
                                             const int8_t *f, int8_t *from, int32_t rows,
                                             int8_t *output) {
    for (int32_t i = s->output_columns / 2; i > 0; --i) {
        edgecnn_planar_block(s, f, from, rows, 2, output);
        from = edgecnn_pointer_now(from + 4 * s->stride_columns);
        output = edgecnn_pointer_now(output + 2 * s->output_column_step);
    }
    if (s->output_columns % 2 == 1) {
        edgecnn_planar_block(s, f, from, rows, 1, output);
    }
}

/* A number of rows of one output channel from a plane. */
EDGECNN_SPECIALIZED void edgecnn_planar_filter(const edgecnn_depthwise_conv2d_planar_shape *s,
                                               const int8_t *f, int8_t *from, int32_t rows,
                                               int8_t *output) {
    const int32_t row_bytes = 4 * EDGECNN_PLANES * s->plane_words * s->stride_rows;
    for (; rows >= s->block_rows; rows -= s->block_rows) {
        edgecnn_planar_line(s, f, from, s->block_rows, output);
        from += s->block_rows * row_bytes;
        output += s->block_rows * s->output_row_step;
    }
    if (s->block_rows == 2 && rows == 1) {
        edgecnn_planar_line(s, f, from, 1, output);
    }
}

/* All that a filter needs in the order in which it is read. */
EDGECNN_SPECIALIZED void edgecnn_planar_expand(const edgecnn_depthwise_conv2d_planar_shape *s,
                                               const int8_t *packed, const int32_t *table,
                                               int8_t *f) {
    const int32_t shift = table[EDGECNN_SHIFT];
    edgecnn_store(f + 4 * EDGECNN_BIAS, (uint32_t)table[EDGECNN_BIAS]);
    edgecnn_store(f + 4 * EDGECNN_MULTIPLIER, (uint32_t)table[EDGECNN_MULTIPLIER]);
    edgecnn_store(f + 4 * EDGECNN_SHIFT, (uint32_t)shift);
    edgecnn_store(f + 4 * EDGECNN_FILTER_OFFSET,
                  (uint32_t)edgecnn_channel_offset(shift, s->output_zero_point));
    edgecnn_planar_weights(packed, s->kernel_rows * (s->kernel_columns / 2),
                           f + 4 * EDGECNN_FILTER_WEIGHTS);
}

/* A number of rows of one output channel. Small filters are on the stack: no pointer to them has
 * to be in a register. */
EDGECNN_SPECIALIZED void edgecnn_planar_channel(const edgecnn_depthwise_conv2d_planar_shape *s,
                                                const int8_t *packed, const int32_t *table,
                                                int8_t *from, int32_t rows, int8_t *space,
                                                int8_t *output) {
    uint32_t local[EDGECNN_FILTER_WEIGHTS + EDGECNN_LOCAL_WEIGHTS];
    const int32_t is_local = s->kernel_rows * (s->kernel_columns / 2) * 2 <= EDGECNN_LOCAL_WEIGHTS;
    int8_t *const f = is_local ? (int8_t *)local : space;
    edgecnn_planar_expand(s, packed, table, f);
    edgecnn_planar_filter(s, f, from, rows, output);
}

/* --- the layer -------------------------------------------------------------------------------- */

/* Some rows of the output of up to four channels from c on, whose planes are filled. */
EDGECNN_SPECIALIZED void edgecnn_planar_group(const edgecnn_depthwise_conv2d_planar_shape *s,
                                              const edgecnn_depthwise_conv2d_planar_params *p,
                                              int8_t *planes, int32_t c, int32_t n, int32_t rows,
                                              int8_t *space, int8_t *output) {
    const int32_t filter_bytes = s->kernel_rows * (s->kernel_columns / 2) * 4;
    for (int32_t i = 0; i < n; ++i) {
        for (int32_t m = 0; m < s->depth_multiplier; ++m) {
            const int32_t o = (c + i) * s->depth_multiplier + m;
            edgecnn_planar_channel(s, p->weights + o * filter_bytes,
                                   p->channels + o * EDGECNN_CHANNEL_WORDS,
                                   planes + 4 * i * s->plane_words, rows, space, output + o);
        }
    }
}

/* All strips of up to four channels from c on, n of which are new; planes are of those from first
 * on. A strip widens no row again: the output may lie over the rows that were. */
EDGECNN_SPECIALIZED void edgecnn_planar_strips(const edgecnn_depthwise_conv2d_planar_shape *s,
                                               const edgecnn_depthwise_conv2d_planar_params *p,
                                               const int8_t *input, int32_t c, int32_t n,
                                               int32_t first, int8_t *planes, int8_t *output) {
    const int32_t row_bytes = 4 * EDGECNN_PLANES * s->plane_words;
    const int32_t shared = edgecnn_clamp(s->kernel_rows - s->stride_rows, 0, s->kernel_rows);
    int8_t *const space = planes + row_bytes * s->plane_rows;
    for (int32_t y = 0; y < s->output_rows; y += s->strip_rows) {
        const int32_t rows = edgecnn_clamp(s->output_rows - y, 0, s->strip_rows);
        const int32_t reach = (rows - 1) * s->stride_rows + s->kernel_rows;
        const int32_t kept = y == 0 ? 0 : shared;
        if (s->strip_rows < s->output_rows && kept > 0) {
            edgecnn_planar_keep(s, shared, planes);
        }
        edgecnn_planar_gather(s, input + first, y * s->stride_rows - s->pad_rows + kept,
                              reach - kept, planes + row_bytes * kept);
        edgecnn_planar_group(s, p, planes + 4 * (c - first) * s->plane_words, c, n, rows, space,
                             output + y * s->output_row_step);
    }
}

/* scratch: the planes, and the weights of a filter if they are many. The last group of channels
 * fills four planes, too, with some channels that are done, and that nothing is computed from. */
EDGECNN_SPECIALIZED void edgecnn_depthwise_conv2d_planar(
    const edgecnn_depthwise_conv2d_planar_shape *s,
    const edgecnn_depthwise_conv2d_planar_params *p, const int8_t *input, int8_t *scratch,
    int8_t *output) {
    const int32_t plane_words = EDGECNN_PLANES * s->plane_words * s->plane_rows;
    const int32_t channels = s->input_channels;
    const int32_t last = channels > EDGECNN_PLANES ? channels - EDGECNN_PLANES : 0;
    edgecnn_planar_fill(scratch, s->input_zero_point, plane_words);
    for (int32_t c = 0; c < channels; c += EDGECNN_PLANES) {
        const int32_t first = c < last ? c : last;
        const int32_t n = edgecnn_clamp(channels - c, 0, EDGECNN_PLANES);
        edgecnn_planar_strips(s, p, input, c, n, first, scratch, output);
    }
}

#endif
