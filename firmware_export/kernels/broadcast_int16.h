/* Pairs of two int16 operands, with broadcasting. */
#ifndef EDGECNN_BROADCAST_INT16_H
#define EDGECNN_BROADCAST_INT16_H

#include "edgecnn_broadcast.h"

/* Defines the function NAME: output = PAIR(p, a, b) for each pair of values. */
#define EDGECNN_DEFINE_INT16_PAIRS(NAME, PARAMS, PAIR)                                            \
    EDGECNN_FUNCTION void NAME(const PARAMS *p, const int16_t *a, const int16_t *b,               \
                               int16_t *output) {                                                 \
        const int32_t *const shape = p->loops.shape;                                              \
        const int32_t *const sa = p->loops.strides[0], *const sb = p->loops.strides[1];           \
        for (int32_t i = 0; i < shape[0]; ++i) {                                                  \
            for (int32_t j = 0; j < shape[1]; ++j) {                                              \
                for (int32_t k = 0; k < shape[2]; ++k) {                                          \
                    const int16_t *row_a = a + i * sa[0] + j * sa[1] + k * sa[2];                 \
                    const int16_t *row_b = b + i * sb[0] + j * sb[1] + k * sb[2];                 \
                    for (int32_t n = 0; n < shape[3]; ++n) {                                      \
                        *output++ = PAIR(p, row_a[n * sa[3]], row_b[n * sb[3]]);                  \
                    }                                                                             \
                }                                                                                 \
            }                                                                                     \
        }                                                                                         \
    }

#endif
