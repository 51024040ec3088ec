/* Index of the largest value along an axis, the first of several. */
#ifndef EDGECNN_ARGMAX_H
#define EDGECNN_ARGMAX_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t outer, depth, inner; /* sizes before, along and behind the axis */
} edgecnn_argmax_params;

EDGECNN_FUNCTION void edgecnn_argmax(const edgecnn_argmax_params *p, const int8_t *input,
                                     int32_t *output) {
    for (int32_t i = 0; i < p->outer; ++i) {
        for (int32_t k = 0; k < p->inner; ++k) {
            const int8_t *values = input + i * p->depth * p->inner + k;
            int32_t best = 0;
            for (int32_t j = 1; j < p->depth; ++j) {
                if (values[j * p->inner] > values[best * p->inner]) {
                    best = j;
                }
            }
            *output++ = best;
        }
    }
}

#endif
