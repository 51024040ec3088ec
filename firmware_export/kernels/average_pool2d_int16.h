/* Mean over windows of an NHWC image of int16 values; what lies outside is not counted. */
#ifndef EDGECNN_AVERAGE_POOL2D_INT16_H
#define EDGECNN_AVERAGE_POOL2D_INT16_H

#include "edgecnn_window.h"

typedef edgecnn_pool_params edgecnn_average_pool2d_int16_params;

EDGECNN_FUNCTION void edgecnn_average_pool2d_int16(const edgecnn_average_pool2d_int16_params *p,
                                                   const int16_t *input, int16_t *output) {
    for (int32_t oy = 0; oy < p->output_height; ++oy) {
        for (int32_t ox = 0; ox < p->output_width; ++ox) {
            const edgecnn_window w = edgecnn_window_at(p, oy, ox);
            const int32_t count = (w.y_end - w.y_begin) * (w.x_end - w.x_begin);
            for (int32_t c = 0; c < p->channels; ++c) {
                int32_t sum = 0;
                for (int32_t y = w.y_begin; y < w.y_end; ++y) {
                    for (int32_t x = w.x_begin; x < w.x_end; ++x) {
                        sum += input[(y * p->input_width + x) * p->channels + c];
                    }
                }
                *output++ = (int16_t)edgecnn_clamp(edgecnn_divide_rounding(sum, count),
                                                   p->activation_min, p->activation_max);
            }
        }
    }
}

#endif
