/* Elementwise sum with broadcasting. */
#ifndef EDGECNN_ADD_H
#define EDGECNN_ADD_H

#include "edgecnn_fixedpoint.h"

/* Both operands are shifted up by this many bits before they are rescaled. */
#define EDGECNN_ADD_LEFT_SHIFT 20

typedef struct {
    int32_t shape[4];           /* of the output; neighbouring axes that allow it are merged */
    int32_t strides[2][4];      /* of the operands; 0 along a broadcast axis */
    int32_t input_zero_point[2];
    int32_t input_multiplier[2];
    int32_t input_shift[2];
    int32_t output_multiplier, output_shift, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_add_params;

EDGECNN_INLINE int32_t edgecnn_add_operand(const edgecnn_add_params *p, int32_t i, int8_t value) {
    const int32_t shifted = (value - p->input_zero_point[i]) * (1 << EDGECNN_ADD_LEFT_SHIFT);
    return edgecnn_scale(shifted, p->input_multiplier[i], p->input_shift[i]);
}

EDGECNN_FUNCTION void edgecnn_add(const edgecnn_add_params *p, const int8_t *a, const int8_t *b,
                                  int8_t *output) {
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                const int8_t *row_a =
                    a + i * p->strides[0][0] + j * p->strides[0][1] + k * p->strides[0][2];
                const int8_t *row_b =
                    b + i * p->strides[1][0] + j * p->strides[1][1] + k * p->strides[1][2];
                for (int32_t n = 0; n < p->shape[3]; ++n) {
                    const int32_t sum = edgecnn_add_operand(p, 0, row_a[n * p->strides[0][3]]) +
                                        edgecnn_add_operand(p, 1, row_b[n * p->strides[1][3]]);
                    *output++ = edgecnn_requantize(sum, p->output_multiplier, p->output_shift,
                                                   p->output_zero_point, p->activation_min,
                                                   p->activation_max);
                }
            }
        }
    }
}

#endif
