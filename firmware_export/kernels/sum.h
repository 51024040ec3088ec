/* Sum over some axes: a mean whose multiplier does not divide. */
#ifndef EDGECNN_SUM_H
#define EDGECNN_SUM_H

#include "edgecnn_mean.h"

typedef edgecnn_mean_params edgecnn_sum_params;

EDGECNN_FUNCTION void edgecnn_sum(const edgecnn_sum_params *p, const int8_t *input,
                                  int8_t *output) {
    edgecnn_mean(p, input, output);
}

#endif
