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
    const int8_t *const table = p->table - INT8_MIN;
    const int8_t *const end = input + p->size, *const end_of_fours = input + (p->size & ~3);
    while (input != end_of_fours) { /* loads cost less right behind each other */
        const int32_t a = input[0], b = input[1], c = input[2], d = input[3];
        const int8_t e = table[a], f = table[b], g = table[c], h = table[d];
        output[0] = e;
        output[1] = f;
        output[2] = g;
        output[3] = h;
        input += 4;
        output += 4;
    }
    while (input != end) {
        *output++ = table[*input++];
    }
}

#endif
