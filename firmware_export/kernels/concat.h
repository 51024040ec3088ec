/* Tensors one after another along an axis. */
#ifndef EDGECNN_CONCAT_H
#define EDGECNN_CONCAT_H

#include "edgecnn_copy.h"

typedef struct {
    int32_t rows;  /* values before the axis */
    int32_t count; /* number of inputs */
    int32_t sizes[10]; /* of a row of each input */
} edgecnn_concat_params;

EDGECNN_FUNCTION void edgecnn_concat(const edgecnn_concat_params *p, const int8_t *const *inputs,
                                     int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        for (int32_t i = 0; i < p->count; ++i) {
            output = edgecnn_copy_run(output, inputs[i] + row * p->sizes[i], p->sizes[i]);
        }
    }
}

#endif
