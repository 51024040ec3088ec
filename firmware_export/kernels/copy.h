/* Strided copying: what the operators that only move values have in common. */
#ifndef EDGECNN_COPY_H
#define EDGECNN_COPY_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t shape[5];   /* of the output */
    int32_t strides[5]; /* of the input, along the output's axes */
    int32_t offset;     /* of the first value */
} edgecnn_copy_params;

/* n values that follow each other; returns the end of what it wrote. */
EDGECNN_INLINE int8_t *edgecnn_copy_run(int8_t *to, const int8_t *from, int32_t n) {
    for (int32_t i = 0; i < n; ++i) {
        to[i] = from[i];
    }
    return to + n;
}

EDGECNN_INLINE void edgecnn_copy(const edgecnn_copy_params *p, const int8_t *input,
                                 int8_t *output) {
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                for (int32_t m = 0; m < p->shape[3]; ++m) {
                    int32_t from = p->offset + i * p->strides[0] + j * p->strides[1] +
                                   k * p->strides[2] + m * p->strides[3];
                    for (int32_t n = 0; n < p->shape[4]; ++n) {
                        *output++ = input[from];
                        from += p->strides[4];
                    }
                }
            }
        }
    }
}

#endif
