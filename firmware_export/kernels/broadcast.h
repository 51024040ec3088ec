/* Loops over the pairs of two operands, with broadcasting. */
#ifndef EDGECNN_BROADCAST_H
#define EDGECNN_BROADCAST_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t shape[4];      /* of the output; neighbouring axes that allow it are merged */
    int32_t strides[2][4]; /* of the operands; 0 along a broadcast axis */
} edgecnn_broadcast;

/* The first value of an operand in one row, the last axis, of the output. */
EDGECNN_INLINE const int8_t *edgecnn_broadcast_row(const int32_t *strides, const int8_t *data,
                                                   int32_t i, int32_t j, int32_t k) {
    return data + i * strides[0] + j * strides[1] + k * strides[2];
}

/* Defines the function NAME: one row, output[i] = PAIR(p, a[i * step_a], b[i * step_b]). No write
 * to the output can change the copy of the parameters. Macros, so that all compilers inline. */
#define EDGECNN_DEFINE_ROW(NAME, PARAMS, PAIR)                                                    \
    EDGECNN_INLINE void NAME(const PARAMS *p, const int8_t *a, int32_t step_a, const int8_t *b,   \
                             int32_t step_b, int32_t n, int8_t *output) {                         \
        const PARAMS q = *p;                                                                      \
        for (int32_t i = 0; i < n; ++i) {                                                         \
            output[i] = PAIR(&q, a[i * step_a], b[i * step_b]);                                   \
        }                                                                                         \
    }

/* Calls ROW for each row of the output; its steps are mostly 1, which is worth a loop. */
#define EDGECNN_FOR_EACH_ROW(p, a, b, output, ROW)                                                \
    do {                                                                                          \
        const int32_t *const shape = (p)->loops.shape;                                            \
        const int32_t *const sa = (p)->loops.strides[0], *const sb = (p)->loops.strides[1];       \
        for (int32_t i = 0; i < shape[0]; ++i) {                                                  \
            for (int32_t j = 0; j < shape[1]; ++j) {                                              \
                for (int32_t k = 0; k < shape[2]; ++k) {                                          \
                    const int8_t *row_a = edgecnn_broadcast_row(sa, (a), i, j, k);                \
                    const int8_t *row_b = edgecnn_broadcast_row(sb, (b), i, j, k);                \
                    if (sa[3] == 1 && sb[3] == 1) {                                               \
                        ROW((p), row_a, 1, row_b, 1, shape[3], (output));                         \
                    } else {                                                                      \
                        ROW((p), row_a, sa[3], row_b, sb[3], shape[3], (output));                 \
                    }                                                                             \
                    (output) += shape[3];                                                         \
                }                                                                                 \
            }                                                                                     \
        }                                                                                         \
    } while (0)

#endif
