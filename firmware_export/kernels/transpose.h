/* The same values with the axes in another order. */
#ifndef EDGECNN_TRANSPOSE_H
#define EDGECNN_TRANSPOSE_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t shape[5];   /* of the output */
    int32_t strides[5]; /* of the input, along the output's axes */
} edgecnn_transpose_params;

EDGECNN_FUNCTION void edgecnn_transpose(const edgecnn_transpose_params *p, const int8_t *input,
                                        int8_t *output) {
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                for (int32_t m = 0; m < p->shape[3]; ++m) {
                    const int8_t *row = input + i * p->strides[0] + j * p->strides[1] +
                                        k * p->strides[2] + m * p->strides[3];
                    for (int32_t n = 0; n < p->shape[4]; ++n) {
                        *output++ = row[n * p->strides[4]];
                    }
                }
            }
        }
    }
}

#endif
