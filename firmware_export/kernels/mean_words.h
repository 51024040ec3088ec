/* Mean of each channel over all pixels, four channels a word. */
#ifndef EDGECNN_MEAN_WORDS_H
#define EDGECNN_MEAN_WORDS_H

#include "edgecnn_channel_sums.h"

typedef struct {
    int32_t pixels, channels; /* up to 255 pixels, so that sums fit int16 */
    int32_t offset;           /* number of pixels times input zero point */
    int32_t multiplier;
} edgecnn_mean_words_params;

typedef struct {
    int32_t shift; /* to the right, less 1 */
    int32_t output_zero_point;
} edgecnn_mean_words_shape;

EDGECNN_SPECIALIZED int8_t edgecnn_mean_words_output(const edgecnn_mean_words_shape *s,
                                                     const edgecnn_mean_words_params *p,
                                                     int32_t sum) {
    return edgecnn_requantize_fast(sum - p->offset, p->multiplier, s->shift, s->output_zero_point,
                                   INT8_MIN, INT8_MAX);
}

/* The channels of one or two words. */
EDGECNN_SPECIALIZED void edgecnn_mean_words_some(const edgecnn_mean_words_shape *s,
                                                 const edgecnn_mean_words_params *p,
                                                 const int8_t *input, int32_t words,
                                                 int8_t *output) {
    edgecnn_channel_sums sums = {{0, 0}, {0, 0}};
    edgecnn_add_pixels(&sums, input, p->channels, p->pixels, words);
#pragma GCC unroll 2
    for (int32_t i = 0; i < words; ++i) {
        /* Clang 22 else makes wrong vectors of the halves for hosts with AVX2. */
        EDGECNN_SETTLE_2(sums.even[i], sums.odd[i]);
        output[4 * i] = edgecnn_mean_words_output(s, p, edgecnn_low(sums.even[i]));
        output[4 * i + 1] = edgecnn_mean_words_output(s, p, edgecnn_low(sums.odd[i]));
        output[4 * i + 2] = edgecnn_mean_words_output(s, p, edgecnn_high(sums.even[i]));
        output[4 * i + 3] = edgecnn_mean_words_output(s, p, edgecnn_high(sums.odd[i]));
    }
}

/* Eight, then four channels at a time; the last four overlap those before. */
EDGECNN_SPECIALIZED void edgecnn_mean_words(const edgecnn_mean_words_shape *s,
                                            const edgecnn_mean_words_params *params,
                                            const int8_t *input, int8_t *output) {
    const edgecnn_mean_words_params p = *params; /* a copy that no output can change */
    int32_t c = 0;
    for (; c + 8 <= p.channels; c += 8) {
        edgecnn_mean_words_some(s, &p, input + c, 2, output + c);
    }
    for (; c < p.channels; c += 4) {
        const int32_t first = c + 4 <= p.channels ? c : p.channels - 4;
        edgecnn_mean_words_some(s, &p, input + first, 1, output + first);
    }
}

#endif
