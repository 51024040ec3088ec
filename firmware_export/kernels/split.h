/* A tensor cut into several along an axis. */
#ifndef EDGECNN_SPLIT_H
#define EDGECNN_SPLIT_H

#include "edgecnn_copy.h"

typedef struct {
    const int32_t *sizes; /* of a row of each output */
    int32_t rows;         /* values before the axis */
    int32_t count;        /* number of outputs */
} edgecnn_split_params;

EDGECNN_FUNCTION void edgecnn_split(const edgecnn_split_params *p, const int8_t *input,
                                    int8_t *const *outputs) {
    for (int32_t row = 0; row < p->rows; ++row) {
        for (int32_t i = 0; i < p->count; ++i) {
            edgecnn_copy_run(outputs[i] + row * p->sizes[i], input, p->sizes[i]);
            input += p->sizes[i];
        }
    }
}

#endif
