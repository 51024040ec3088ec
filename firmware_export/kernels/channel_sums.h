/* Sums of the channels of pixels, four channels a word, as pairs of int16. */
#ifndef EDGECNN_CHANNEL_SUMS_H
#define EDGECNN_CHANNEL_SUMS_H

#include "edgecnn_dsp.h"

/* The sums of up to two words of channels: [word]; 0 and 2, and 1 and 3, of its channels. */
typedef struct {
    uint32_t even[2], odd[2];
} edgecnn_channel_sums;

/* Adds n pixels that lie a step apart. All that is added has to fit int16. */
EDGECNN_SPECIALIZED void edgecnn_add_pixels(edgecnn_channel_sums *sums, const int8_t *pixel,
                                            int32_t step, int32_t n, int32_t words) {
#pragma GCC unroll 4
    for (; n > 0; --n) {
        uint32_t word[2] = {edgecnn_load(pixel), words == 2 ? edgecnn_load(pixel + 4) : 0};
        EDGECNN_SETTLE_2(word[0], word[1]);
#pragma GCC unroll 2
        for (int32_t i = 0; i < words; ++i) {
            sums->even[i] = edgecnn_sxtab16(sums->even[i], word[i]);
            sums->odd[i] = edgecnn_sxtab16_ror8(sums->odd[i], word[i]);
        }
        pixel += step;
    }
}

#endif
