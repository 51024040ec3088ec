/* Two int16 operands that are brought to one scale before they are added or subtracted. */
#ifndef EDGECNN_SCALED_PAIR_INT16_H
#define EDGECNN_SCALED_PAIR_INT16_H

#include "edgecnn_broadcast_int16.h"
#include "edgecnn_scaled_pair.h"

EDGECNN_INLINE int32_t edgecnn_int16_operand(const edgecnn_scaled_pair_params *p, int32_t i,
                                             int16_t value) {
    const int32_t shifted = value * (int32_t)((uint32_t)1 << p->left_shift);
    return edgecnn_scale(shifted, p->input_multiplier[i], p->input_shift[i]);
}

EDGECNN_INLINE int16_t edgecnn_int16_output(const edgecnn_scaled_pair_params *p, int32_t value) {
    const int32_t scaled = edgecnn_scale(value, p->output_multiplier, p->output_shift);
    return (int16_t)edgecnn_clamp(scaled, p->activation_min, p->activation_max);
}

#endif
