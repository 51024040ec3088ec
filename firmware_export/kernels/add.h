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

/* One row; the steps are 1, or 0 for an operand that is repeated. */
EDGECNN_INLINE void edgecnn_add_row(const edgecnn_add_params *p, const int8_t *a, int32_t step_a,
                                    const int8_t *b, int32_t step_b, int32_t n, int8_t *output) {
    const edgecnn_add_params q = *p; /* no write to output can change a copy */
    for (int32_t i = 0; i < n; ++i) {
        const int32_t sum = edgecnn_add_operand(&q, 0, a[i * step_a]) +
                            edgecnn_add_operand(&q, 1, b[i * step_b]);
        output[i] = edgecnn_requantize(sum, q.output_multiplier, q.output_shift,
                                       q.output_zero_point, q.activation_min, q.activation_max);
    }
}

EDGECNN_FUNCTION void edgecnn_add(const edgecnn_add_params *p, const int8_t *a, const int8_t *b,
                                  int8_t *output) {
    const int32_t *sa = p->strides[0], *sb = p->strides[1];
    const int32_t n = p->shape[3];
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                const int8_t *row_a = a + i * sa[0] + j * sa[1] + k * sa[2];
                const int8_t *row_b = b + i * sb[0] + j * sb[1] + k * sb[2];
                if (sa[3] == 1 && sb[3] == 1) {
                    edgecnn_add_row(p, row_a, 1, row_b, 1, n, output);
                } else {
                    edgecnn_add_row(p, row_a, sa[3], row_b, sb[3], n, output);
                }
                output += n;
            }
        }
    }
}

#endif
