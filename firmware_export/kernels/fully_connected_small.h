/* Fully connected layer for cores without DSP instructions: four rows of weights at once. */
#ifndef EDGECNN_FULLY_CONNECTED_SMALL_H
#define EDGECNN_FULLY_CONNECTED_SMALL_H

#include "edgecnn_small_rows.h"

typedef struct {
    const int32_t *weights;  /* [units / 4][depth, filled up to fours]: see edgecnn_small.h */
    const int32_t *bias;     /* [units], less zero point times sum of weights */
    const int32_t *scales;   /* [units, or 1][...]: see edgecnn_small.h */
} edgecnn_fully_connected_small_params;

typedef struct {
    int32_t rows, depth, units;
    int32_t output_zero_point;
    int32_t activation_min, activation_max;
    int32_t pieces; /* of multipliers */
    int32_t per_channel;
} edgecnn_fully_connected_small_shape;

/* A row of the input in words; copied to scratch where it is not a number of whole ones. */
EDGECNN_SPECIALIZED const uint32_t *
edgecnn_fully_connected_small_words(const int8_t *input, int32_t depth, int8_t *scratch) {
    if (depth % 4 == 0) {
        return (const uint32_t *)(const void *)input;
    }
    for (int32_t i = 0; i < depth; ++i) {
        scratch[i] = input[i];
    }
    for (int32_t i = depth; i % 4 != 0; ++i) {
        scratch[i] = 0;
    }
    return (const uint32_t *)(const void *)scratch;
}

/* scratch: a row of the input, filled up to words, where it is not a number of them. */
EDGECNN_SPECIALIZED void edgecnn_fully_connected_small(const edgecnn_fully_connected_small_shape *s,
                                                       const edgecnn_fully_connected_small_params *p,
                                                       const int8_t *input, int8_t *scratch,
                                                       int8_t *output) {
    const int32_t words = (s->depth + 3) / 4;
    const edgecnn_small_range range = {s->pieces, s->output_zero_point != -128, s->activation_min,
                                       s->activation_max};
    int32_t sums[EDGECNN_SMALL_ROWS];
#pragma GCC unroll 1
    for (int32_t row = 0; row < s->rows; ++row) {
        const uint32_t *inputs = edgecnn_fully_connected_small_words(input, s->depth, scratch);
        const int32_t *weights = p->weights, *bias = p->bias, *scale = p->scales;
#pragma GCC unroll 1
        for (int32_t left = s->units; left > 0; left -= EDGECNN_SMALL_ROWS) {
            edgecnn_small_rows(inputs, weights, words, sums);
            const int32_t n = edgecnn_clamp(left, 0, EDGECNN_SMALL_ROWS);
#pragma GCC unroll 1
            for (int32_t i = 0; i < n; ++i) {
                *output++ = edgecnn_small_requantize(sums[i] + *bias++, scale, range);
                scale += s->per_channel * edgecnn_small_words(s->pieces);
            }
            weights += 4 * words;
        }
        input += s->depth;
    }
}

#endif
