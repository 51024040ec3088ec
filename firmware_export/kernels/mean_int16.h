/* Mean of int16 values over some axes; axes that are kept, or reduced, alike are merged. */
#ifndef EDGECNN_MEAN_INT16_H
#define EDGECNN_MEAN_INT16_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t kept[2], kept_stride[2];       /* sizes and strides of the axes that stay */
    int32_t reduced[2], reduced_stride[2]; /* sizes and strides of the axes that go */
    int32_t multiplier, shift;
} edgecnn_mean_int16_params;

EDGECNN_FUNCTION void edgecnn_mean_int16(const edgecnn_mean_int16_params *p, const int16_t *input,
                                         int16_t *output) {
    for (int32_t i = 0; i < p->kept[0]; ++i) {
        for (int32_t j = 0; j < p->kept[1]; ++j) {
            const int16_t *first = input + i * p->kept_stride[0] + j * p->kept_stride[1];
            int32_t sum = 0;
            for (int32_t y = 0; y < p->reduced[0]; ++y) {
                for (int32_t x = 0; x < p->reduced[1]; ++x) {
                    sum += first[y * p->reduced_stride[0] + x * p->reduced_stride[1]];
                }
            }
            *output++ = (int16_t)edgecnn_clamp(edgecnn_scale(sum, p->multiplier, p->shift),
                                               INT16_MIN, INT16_MAX);
        }
    }
}

#endif
