/* Mean over some axes; neighbouring axes that are kept, or reduced, alike are merged. */
#ifndef EDGECNN_MEAN_H
#define EDGECNN_MEAN_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t kept[2], kept_stride[2];       /* sizes and strides of the axes that stay */
    int32_t reduced[2], reduced_stride[2]; /* sizes and strides of the axes that go */
    int32_t offset;                        /* number of summed values times input zero point */
    int32_t multiplier, shift;
    int32_t output_zero_point;
} edgecnn_mean_params;

EDGECNN_FUNCTION void edgecnn_mean(const edgecnn_mean_params *p, const int8_t *input,
                                   int8_t *output) {
    for (int32_t i = 0; i < p->kept[0]; ++i) {
        for (int32_t j = 0; j < p->kept[1]; ++j) {
            const int8_t *first = input + i * p->kept_stride[0] + j * p->kept_stride[1];
            int32_t sum = -p->offset;
            for (int32_t y = 0; y < p->reduced[0]; ++y) {
                for (int32_t x = 0; x < p->reduced[1]; ++x) {
                    sum += first[y * p->reduced_stride[0] + x * p->reduced_stride[1]];
                }
            }
            *output++ = edgecnn_requantize(sum, p->multiplier, p->shift, p->output_zero_point,
                                           INT8_MIN, INT8_MAX);
        }
    }
}

#endif
