/* Elementwise sum, or difference, of two tensors of one shape, as a straight line. */
#ifndef EDGECNN_ADD_LINEAR_H
#define EDGECNN_ADD_LINEAR_H

#include "edgecnn_linear.h"

typedef struct {
    int32_t size;
    int32_t factors[2], offset;
} edgecnn_add_linear_params;

typedef struct {
    int32_t shift;
    int32_t activation_min, activation_max;
} edgecnn_add_linear_shape;

EDGECNN_SPECIALIZED int8_t edgecnn_add_linear_output(const edgecnn_add_linear_shape *s,
                                                     int32_t sum) {
    return edgecnn_linear_output(sum, s->shift, s->activation_min, s->activation_max);
}

/* Four values. */
EDGECNN_SPECIALIZED void edgecnn_add_linear_word(const edgecnn_add_linear_shape *s,
                                                 edgecnn_add_linear_params p, uint32_t mask,
                                                 uint32_t a, uint32_t b, int8_t *output) {
    EDGECNN_SETTLE_2(a, b);
    const uint32_t a_even = edgecnn_even_bytes(a, mask), a_odd = edgecnn_odd_bytes(a, mask);
    const uint32_t b_even = edgecnn_even_bytes(b, mask), b_odd = edgecnn_odd_bytes(b, mask);
    const int32_t sums[4] = {
        edgecnn_smlawb(p.factors[1], b_even, edgecnn_smlawb(p.factors[0], a_even, p.offset)),
        edgecnn_smlawb(p.factors[1], b_odd, edgecnn_smlawb(p.factors[0], a_odd, p.offset)),
        edgecnn_smlawt(p.factors[1], b_even, edgecnn_smlawt(p.factors[0], a_even, p.offset)),
        edgecnn_smlawt(p.factors[1], b_odd, edgecnn_smlawt(p.factors[0], a_odd, p.offset)),
    };
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        output[i] = edgecnn_add_linear_output(s, sums[i]);
    }
}

EDGECNN_SPECIALIZED void edgecnn_add_linear(const edgecnn_add_linear_shape *s,
                                            const edgecnn_add_linear_params *params,
                                            const int8_t *a, const int8_t *b, int8_t *output) {
    const edgecnn_add_linear_params p = *params; /* a copy that no write to the output can change */
    const uint32_t mask = edgecnn_upper_bytes();
    const int8_t *const end = a + p.size, *const end_of_words = a + (p.size & ~15);
    while (a != end_of_words) {
#pragma GCC unroll 4
        for (int32_t i = 0; i < 16; i += 4) {
            edgecnn_add_linear_word(s, p, mask, edgecnn_load(a + i), edgecnn_load(b + i),
                                    output + i);
        }
        a += 16;
        b += 16;
        output += 16;
    }
#pragma GCC unroll 1
    while (a != end) {
        const int32_t sum = edgecnn_smlawb(p.factors[0], edgecnn_only_byte(*a++), p.offset);
        *output++ = edgecnn_add_linear_output(
            s, edgecnn_smlawb(p.factors[1], edgecnn_only_byte(*b++), sum));
    }
}

#endif
