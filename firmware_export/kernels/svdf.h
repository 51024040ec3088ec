/* SVDF, one step from a state of zero: only the weights of the newest frame count. */
#ifndef EDGECNN_SVDF_H
#define EDGECNN_SVDF_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    const int8_t *weights;       /* [units * rank][depth] */
    const int32_t *feature_bias; /* [units * rank], less zero point times sum of weights */
    const int16_t *time_weights; /* [units * rank] */
    const int32_t *bias;         /* [units] */
    int32_t feature_multiplier, feature_shift;
    int32_t output_multiplier, output_shift;
    int32_t state_min, state_max; /* the range of the state's type */
    int32_t state_zero_point;
    int32_t output_zero_point;
    int32_t rows, depth, units, rank;
} edgecnn_svdf_params;

/* The state of a filter less its zero point. TensorFlow Lite Micro adds the zero point to what it
 * has clamped, and lets the sum wrap in the state's type. */
EDGECNN_INLINE int32_t edgecnn_svdf_state(const edgecnn_svdf_params *p, int32_t filter,
                                          const int8_t *input) {
    const int32_t sum =
        p->feature_bias[filter] + edgecnn_dot(p->weights + filter * p->depth, input, p->depth);
    const int32_t state =
        edgecnn_clamp(edgecnn_scale(sum, p->feature_multiplier, p->feature_shift), p->state_min,
                      p->state_max) +
        p->state_zero_point;
    const int32_t period = p->state_max - p->state_min + 1;
    const int32_t wrapped = state > p->state_max   ? state - period
                            : state < p->state_min ? state + period
                                                   : state;
    return wrapped - p->state_zero_point;
}

EDGECNN_FUNCTION void edgecnn_svdf(const edgecnn_svdf_params *p, const int8_t *input,
                                   int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        for (int32_t unit = 0; unit < p->units; ++unit) {
            int32_t sum = p->bias[unit];
            for (int32_t r = 0; r < p->rank; ++r) {
                const int32_t filter = unit * p->rank + r;
                sum += edgecnn_svdf_state(p, filter, input) * p->time_weights[filter];
            }
            *output++ = edgecnn_requantize(sum, p->output_multiplier, p->output_shift,
                                           p->output_zero_point, INT8_MIN, INT8_MAX);
        }
        input += p->depth;
    }
}

#endif
