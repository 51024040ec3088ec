/* Maximum over windows of an NHWC image, four channels a word. */
#ifndef EDGECNN_MAX_POOL2D_WORDS_H
#define EDGECNN_MAX_POOL2D_WORDS_H

#include "edgecnn_dsp.h"
#include "edgecnn_window.h"

typedef edgecnn_pool_params edgecnn_max_pool2d_words_params;

/* The largest of each byte under a window, of a number of words side by side. Four words are as
 * many as registers hold. */
EDGECNN_SPECIALIZED void edgecnn_max_of_words(const edgecnn_pool_params *p, edgecnn_window w,
                                              const int8_t *corner, int32_t words,
                                              int8_t *output) {
    const uint32_t low = edgecnn_four_times(p->activation_min);
    const uint32_t high = edgecnn_four_times(p->activation_max);
    uint32_t largest[4] = {low, low, low, low};
    for (int32_t y = w.y_end - w.y_begin; y > 0; --y) {
        const int8_t *x = corner;
#pragma GCC unroll 2
        for (int32_t n = w.x_end - w.x_begin; n > 0; --n) {
#pragma GCC unroll 4
            for (int32_t i = 0; i < words; ++i) {
                largest[i] = edgecnn_max_bytes(largest[i], edgecnn_load(x + 4 * i));
            }
            x += p->channels;
        }
        corner += p->input_width * p->channels;
    }
#pragma GCC unroll 4
    for (int32_t i = 0; i < words; ++i) {
        edgecnn_store(output + 4 * i, edgecnn_min_bytes(largest[i], high));
    }
}

/* Where there are less than four channels. */
EDGECNN_SPECIALIZED int8_t edgecnn_max_of_bytes(const edgecnn_pool_params *p, edgecnn_window w,
                                                const int8_t *corner) {
    int32_t largest = INT8_MIN;
    for (int32_t y = w.y_end - w.y_begin; y > 0; --y) {
        const int8_t *x = corner;
        for (int32_t n = w.x_end - w.x_begin; n > 0; --n) {
            largest = *x > largest ? *x : largest;
            x += p->channels;
        }
        corner += p->input_width * p->channels;
    }
    return (int8_t)edgecnn_clamp(largest, p->activation_min, p->activation_max);
}

/* All channels of one window: sixteen, then four at a time; the last four overlap those before. */
EDGECNN_SPECIALIZED void edgecnn_max_pool2d_words_pixel(const edgecnn_pool_params *p,
                                                        edgecnn_window w, const int8_t *corner,
                                                        int8_t *output) {
    int32_t c = 0;
    for (; c + 16 <= p->channels; c += 16) {
        edgecnn_max_of_words(p, w, corner + c, 4, output + c);
    }
    for (; c < p->channels && p->channels >= 4; c += 4) {
        const int32_t first = c + 4 <= p->channels ? c : p->channels - 4;
        edgecnn_max_of_words(p, w, corner + first, 1, output + first);
    }
    for (; c < p->channels; ++c) {
        output[c] = edgecnn_max_of_bytes(p, w, corner + c);
    }
}

EDGECNN_FUNCTION void edgecnn_max_pool2d_words(const edgecnn_max_pool2d_words_params *p,
                                               const int8_t *input, int8_t *output) {
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const edgecnn_window w = edgecnn_window_at(p, oy, ox);
            edgecnn_max_pool2d_words_pixel(
                p, w, input + (w.y_begin * p->input_width + w.x_begin) * p->channels, output);
            output += p->channels;
        }
    }
}

#endif
