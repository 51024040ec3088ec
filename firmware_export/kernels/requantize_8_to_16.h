/* int8 values as int16 at a scale of their own. */
#ifndef EDGECNN_REQUANTIZE_8_TO_16_H
#define EDGECNN_REQUANTIZE_8_TO_16_H

#include "edgecnn_requantize.h"

typedef edgecnn_requantize_params edgecnn_requantize_8_to_16_params;

EDGECNN_FUNCTION void edgecnn_requantize_8_to_16(const edgecnn_requantize_8_to_16_params *p,
                                               const int8_t *input, int16_t *output) {
    const edgecnn_requantize_params q = *p; /* which no write to the output changes */
    for (int32_t i = 0; i < q.size; ++i) {
        output[i] = (int16_t)edgecnn_requantize_value(&q, input[i], INT16_MIN, INT16_MAX);
    }
}

#endif
