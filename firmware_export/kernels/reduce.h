/* The largest or smallest value over some axes; axes that are kept, or reduced, are merged. */
#ifndef EDGECNN_REDUCE_H
#define EDGECNN_REDUCE_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t kept[2], kept_stride[2];       /* sizes and strides of the axes that stay */
    int32_t reduced[2], reduced_stride[2]; /* sizes and strides of the axes that go */
} edgecnn_reduce_params;

/* sign: 1 for the largest, -1 for the smallest. */
EDGECNN_INLINE void edgecnn_reduce_extreme(const edgecnn_reduce_params *p, const int8_t *input,
                                           int32_t sign, int8_t *output) {
    for (int32_t i = 0; i < p->kept[0]; ++i) {
        for (int32_t j = 0; j < p->kept[1]; ++j) {
            const int8_t *first = input + i * p->kept_stride[0] + j * p->kept_stride[1];
            int32_t best = sign * first[0];
            for (int32_t y = 0; y < p->reduced[0]; ++y) {
                for (int32_t x = 0; x < p->reduced[1]; ++x) {
                    const int32_t value =
                        sign * first[y * p->reduced_stride[0] + x * p->reduced_stride[1]];
                    best = value > best ? value : best;
                }
            }
            *output++ = (int8_t)(sign * best);
        }
    }
}

#endif
