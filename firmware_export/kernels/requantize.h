/* What conversions between int8 and int16, or between scales of int16, have in common. */
#ifndef EDGECNN_REQUANTIZE_H
#define EDGECNN_REQUANTIZE_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    int32_t multiplier, shift;
    int32_t input_zero_point, output_zero_point;
} edgecnn_requantize_params;

/* Clamping comes first, so that adding the zero point cannot overflow. */
EDGECNN_INLINE int32_t edgecnn_requantize_value(const edgecnn_requantize_params *p, int32_t value,
                                                int32_t low, int32_t high) {
    const int32_t zero = p->output_zero_point;
    const int32_t scaled = edgecnn_scale(value - p->input_zero_point, p->multiplier, p->shift);
    return edgecnn_clamp(scaled, low - zero, high - zero) + zero;
}

#endif
