/* int16 values as int8 at a scale of their own. */
#ifndef EDGECNN_REQUANTIZE_16_TO_8_H
#define EDGECNN_REQUANTIZE_16_TO_8_H

#include "edgecnn_requantize.h"

typedef edgecnn_requantize_params edgecnn_requantize_16_to_8_params;

EDGECNN_FUNCTION void edgecnn_requantize_16_to_8(const edgecnn_requantize_16_to_8_params *p,
                                               const int16_t *input, int8_t *output) {
    const edgecnn_requantize_params q = *p; /* which no write to the output changes */
    for (int32_t i = 0; i < q.size; ++i) {
        output[i] = (int8_t)edgecnn_requantize_value(&q, input[i], INT8_MIN, INT8_MAX);
    }
}

#endif
