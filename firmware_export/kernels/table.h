/* Any function of one int8 value: a lookup. */
#ifndef EDGECNN_TABLE_H
#define EDGECNN_TABLE_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t size;
    const int8_t *table; /* 256 outputs, of the inputs from -128 to 127 */
} edgecnn_table_params;

EDGECNN_FUNCTION void edgecnn_table(const edgecnn_table_params *p, const int8_t *input,
                                    int8_t *output) {
    for (int32_t i = 0; i < p->size; ++i) {
        output[i] = p->table[input[i] - INT8_MIN];
    }
}

#endif
