/* A constant border around up to four axes. */
#ifndef EDGECNN_PAD_H
#define EDGECNN_PAD_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t shape[4];         /* of the output */
    int32_t begin[4], end[4]; /* where the input lies in the output */
    int32_t value;
} edgecnn_pad_params;

EDGECNN_FUNCTION void edgecnn_pad(const edgecnn_pad_params *p, const int8_t *input,
                                  int8_t *output) {
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                const int32_t row_inside = i >= p->begin[0] && i < p->end[0] &&
                                           j >= p->begin[1] && j < p->end[1] &&
                                           k >= p->begin[2] && k < p->end[2];
                for (int32_t n = 0; n < p->shape[3]; ++n) {
                    const int32_t inside = row_inside && n >= p->begin[3] && n < p->end[3];
                    *output++ = inside ? *input++ : (int8_t)p->value;
                }
            }
        }
    }
}

#endif
