/* Mean over windows of an NHWC image, four channels a word; what lies outside is not counted. */
#ifndef EDGECNN_AVERAGE_POOL2D_WORDS_H
#define EDGECNN_AVERAGE_POOL2D_WORDS_H

#include "edgecnn_channel_sums.h"
#include "edgecnn_window.h"

/* Windows have up to 255 values, so that sums fit int16. */
typedef edgecnn_pool_params edgecnn_average_pool2d_words_params;

typedef struct {
    int32_t activation_min, activation_max;
} edgecnn_average_pool2d_words_shape;

/* Bits behind the point of a mean. */
enum { EDGECNN_MEAN_BITS = 14 };

/* What sums of a number of values are multiplied by: more than 2^30 over that number. */
EDGECNN_SPECIALIZED int32_t edgecnn_reciprocal(int32_t count) { return (1 << 30) / count + 1; }

/* A mean to nearest, halves away from zero, as edgecnn_divide_rounding gives it: the product is
 * further from zero than the mean, so that halves above zero are rounded up and those below down.
 * It is less than 2 / 2^14 too far, with SMLAW's rounding, and others are 1 / 510 off a half. */
EDGECNN_SPECIALIZED int8_t edgecnn_mean_of(const edgecnn_average_pool2d_words_shape *s,
                                           int32_t product) {
    int32_t mean = product >> EDGECNN_MEAN_BITS;
    if (s->activation_min > -128) {
        mean = mean < s->activation_min ? s->activation_min : mean;
    }
    if (s->activation_max < 127) {
        mean = mean > s->activation_max ? s->activation_max : mean;
    }
    return (int8_t)mean;
}

EDGECNN_SPECIALIZED int8_t edgecnn_mean_of_low(const edgecnn_average_pool2d_words_shape *s,
                                               int32_t reciprocal, uint32_t sums) {
    return edgecnn_mean_of(s, edgecnn_smlawb(reciprocal, sums, 1 << (EDGECNN_MEAN_BITS - 1)));
}
EDGECNN_SPECIALIZED int8_t edgecnn_mean_of_high(const edgecnn_average_pool2d_words_shape *s,
                                                int32_t reciprocal, uint32_t sums) {
    return edgecnn_mean_of(s, edgecnn_smlawt(reciprocal, sums, 1 << (EDGECNN_MEAN_BITS - 1)));
}

/* The means of a number of words side by side, up to two. */
EDGECNN_SPECIALIZED void edgecnn_means_of_words(const edgecnn_average_pool2d_words_shape *s,
                                                const edgecnn_pool_params *p, edgecnn_window w,
                                                int32_t reciprocal, const int8_t *corner,
                                                int32_t words, int8_t *output) {
    edgecnn_channel_sums sums = {{0, 0}, {0, 0}};
    for (int32_t y = w.y_end - w.y_begin; y > 0; --y) {
        edgecnn_add_pixels(&sums, corner, p->channels, w.x_end - w.x_begin, words);
        corner += p->input_width * p->channels;
    }
#pragma GCC unroll 2
    for (int32_t i = 0; i < words; ++i) {
        output[4 * i] = edgecnn_mean_of_low(s, reciprocal, sums.even[i]);
        output[4 * i + 1] = edgecnn_mean_of_low(s, reciprocal, sums.odd[i]);
        output[4 * i + 2] = edgecnn_mean_of_high(s, reciprocal, sums.even[i]);
        output[4 * i + 3] = edgecnn_mean_of_high(s, reciprocal, sums.odd[i]);
    }
}

/* Where there are less than four channels. */
EDGECNN_SPECIALIZED int8_t edgecnn_mean_of_bytes(const edgecnn_average_pool2d_words_shape *s,
                                                 const edgecnn_pool_params *p, edgecnn_window w,
                                                 int32_t reciprocal, const int8_t *corner) {
    int32_t total = 0;
    for (int32_t y = w.y_end - w.y_begin; y > 0; --y) {
        const int8_t *x = corner;
        for (int32_t n = w.x_end - w.x_begin; n > 0; --n) {
            total += *x;
            x += p->channels;
        }
        corner += p->input_width * p->channels;
    }
    return edgecnn_mean_of_low(s, reciprocal, (uint32_t)total);
}

/* All channels of one window: eight, then four at a time; the last four overlap those before. */
EDGECNN_SPECIALIZED void edgecnn_average_pool2d_words_pixel(
    const edgecnn_average_pool2d_words_shape *s, const edgecnn_pool_params *p, edgecnn_window w,
    const int8_t *corner, int8_t *output) {
    const int32_t reciprocal =
        edgecnn_reciprocal((w.y_end - w.y_begin) * (w.x_end - w.x_begin));
    int32_t c = 0;
    for (; c + 8 <= p->channels; c += 8) {
        edgecnn_means_of_words(s, p, w, reciprocal, corner + c, 2, output + c);
    }
    for (; c < p->channels && p->channels >= 4; c += 4) {
        const int32_t first = c + 4 <= p->channels ? c : p->channels - 4;
        edgecnn_means_of_words(s, p, w, reciprocal, corner + first, 1, output + first);
    }
    for (; c < p->channels; ++c) {
        output[c] = edgecnn_mean_of_bytes(s, p, w, reciprocal, corner + c);
    }
}

EDGECNN_SPECIALIZED void edgecnn_average_pool2d_words(
    const edgecnn_average_pool2d_words_shape *s, const edgecnn_average_pool2d_words_params *p,
    const int8_t *input, int8_t *output) {
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const edgecnn_window w = edgecnn_window_at(p, oy, ox);
            edgecnn_average_pool2d_words_pixel(
                s, p, w, input + (w.y_begin * p->input_width + w.x_begin) * p->channels, output);
            output += p->channels;
        }
    }
}

#endif
