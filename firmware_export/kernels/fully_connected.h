/* Fully connected layer: each row of the input against each row of the weights. */
#ifndef EDGECNN_FULLY_CONNECTED_H
#define EDGECNN_FULLY_CONNECTED_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int8_t *weights;     /* [units][depth] */
    const int32_t *bias;       /* [units], less zero point times sum of weights */
    const int32_t *multiplier; /* [1], or [units] where per_channel is 1 */
    const int8_t *shift;       /* as multiplier */
    int32_t rows, depth, units;
    int32_t per_channel;
    int32_t weights_zero_point;
    int32_t output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_fully_connected_params;

/* What the zero point of the weights takes off every sum of a row. */
EDGECNN_INLINE int32_t edgecnn_fully_connected_offset(const edgecnn_fully_connected_params *p,
                                                      const int8_t *input) {
    int32_t sum = 0;
    if (p->weights_zero_point != 0) {
        for (int32_t i = 0; i < p->depth; ++i) {
            sum += input[i];
        }
    }
    return sum * p->weights_zero_point;
}

EDGECNN_FUNCTION void edgecnn_fully_connected(const edgecnn_fully_connected_params *p,
                                              const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        const int32_t offset = edgecnn_fully_connected_offset(p, input);
        for (int32_t u = 0; u < p->units; ++u) {
            const int32_t products = edgecnn_dot(p->weights + u * p->depth, input, p->depth);
            const int32_t sum = p->bias[u] + (products - offset);
            const int32_t k = u * p->per_channel;
            *output++ = edgecnn_requantize(sum, p->multiplier[k], p->shift[k],
                                           p->output_zero_point, p->activation_min,
                                           p->activation_max);
        }
        input += p->depth;
    }
}

#endif
