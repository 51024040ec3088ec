/* Two operands that are brought to one scale before they are added or subtracted. */
#ifndef EDGECNN_SCALED_PAIR_H
#define EDGECNN_SCALED_PAIR_H

#include "edgecnn_broadcast.h"

typedef struct {
    edgecnn_broadcast loops;
    int32_t left_shift; /* bits that both operands are shifted up by before they are rescaled */
    int32_t input_zero_point[2];
    int32_t input_multiplier[2];
    int32_t input_shift[2];
    int32_t output_multiplier, output_shift, output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_scaled_pair_params;

EDGECNN_INLINE int32_t edgecnn_scaled_pair_operand(const edgecnn_scaled_pair_params *p, int32_t i,
                                                   int8_t value) {
    const int32_t shifted =
        (value - p->input_zero_point[i]) * (int32_t)((uint32_t)1 << p->left_shift);
    return edgecnn_scale(shifted, p->input_multiplier[i], p->input_shift[i]);
}

EDGECNN_INLINE int8_t edgecnn_scaled_pair_output(const edgecnn_scaled_pair_params *p,
                                                 int32_t value) {
    return edgecnn_requantize(value, p->output_multiplier, p->output_shift, p->output_zero_point,
                              p->activation_min, p->activation_max);
}

#endif
