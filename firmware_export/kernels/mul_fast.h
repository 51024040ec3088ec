/* Elementwise product with broadcasting, rescaled in a few instructions. */
#ifndef EDGECNN_MUL_FAST_H
#define EDGECNN_MUL_FAST_H

#include "edgecnn_broadcast.h"
#include "edgecnn_dsp.h"

typedef struct {
    edgecnn_broadcast loops;
    int32_t input_zero_point[2];
    int32_t multiplier;
} edgecnn_mul_fast_params;

typedef struct {
    int32_t shift; /* to the right, less 1 */
    int32_t output_zero_point;
    int32_t activation_min, activation_max;
} edgecnn_mul_fast_shape;

EDGECNN_SPECIALIZED int8_t edgecnn_mul_fast_pair(const edgecnn_mul_fast_shape *s,
                                                 int32_t multiplier, int32_t a, int32_t b) {
    return edgecnn_requantize_doubled(2 * a * b, multiplier, s->shift, s->output_zero_point,
                                      s->activation_min, s->activation_max);
}

/* One row of the output, the last axis. */
EDGECNN_SPECIALIZED void edgecnn_mul_fast_row(const edgecnn_mul_fast_shape *s,
                                              const edgecnn_mul_fast_params *p, const int8_t *a,
                                              int32_t step_a, const int8_t *b, int32_t step_b,
                                              int32_t n, int8_t *output) {
    const int32_t zero_a = p->input_zero_point[0], zero_b = p->input_zero_point[1];
    const int32_t multiplier = p->multiplier;
    const int8_t *const end = output + n, *const end_of_fours = output + (n & ~3);
    while (output != end_of_fours) {
        int32_t x[4], y[4];
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            x[i] = a[i * step_a];
            y[i] = b[i * step_b];
        }
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            output[i] = edgecnn_mul_fast_pair(s, multiplier, x[i] - zero_a, y[i] - zero_b);
        }
        a += 4 * step_a;
        b += 4 * step_b;
        output += 4;
    }
#pragma GCC unroll 1
    while (output != end) {
        *output++ = edgecnn_mul_fast_pair(s, multiplier, *a - zero_a, *b - zero_b);
        a += step_a;
        b += step_b;
    }
}

#define EDGECNN_MUL_FAST_ROW(p, a, step_a, b, step_b, n, output)                                  \
    edgecnn_mul_fast_row(s, p, a, step_a, b, step_b, n, output)

EDGECNN_SPECIALIZED void edgecnn_mul_fast(const edgecnn_mul_fast_shape *s,
                                          const edgecnn_mul_fast_params *p, const int8_t *a,
                                          const int8_t *b, int8_t *output) {
    EDGECNN_FOR_EACH_ROW(p, a, b, output, EDGECNN_MUL_FAST_ROW);
}

#endif
