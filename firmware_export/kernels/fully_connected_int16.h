/* Fully connected layer of int16 values: each row of the input against each row of the weights. */
#ifndef EDGECNN_FULLY_CONNECTED_INT16_H
#define EDGECNN_FULLY_CONNECTED_INT16_H

#include "edgecnn_fixedpoint64.h"

typedef struct {
    const int8_t *weights;     /* [units][depth] */
    const int64_t *bias;       /* [units] */
    const int32_t *multiplier; /* [1], or [units] where per_channel is 1 */
    const int8_t *shift;       /* as multiplier */
    int32_t rows, depth, units;
    int32_t per_channel;
    int32_t has_32_bit_sums;
    int32_t activation_min, activation_max;
} edgecnn_fully_connected_int16_params;

EDGECNN_FUNCTION void edgecnn_fully_connected_int16(const edgecnn_fully_connected_int16_params *p,
                                                    const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        for (int32_t u = 0; u < p->units; ++u) {
            const int64_t products = edgecnn_wide_dot(p->weights + u * p->depth, input, p->depth);
            const int32_t k = u * p->per_channel;
            *output++ = edgecnn_wide_output(p->bias[u] + products, p->multiplier[k], p->shift[k],
                                            p->has_32_bit_sums, p->activation_min,
                                            p->activation_max);
        }
        input += p->depth;
    }
}

#endif
