/* Fully connected layer: blocks of six units, whose sums stay in registers, then of two. */
#ifndef EDGECNN_FULLY_CONNECTED_BLOCKED_H
#define EDGECNN_FULLY_CONNECTED_BLOCKED_H

#include "edgecnn_block.h"

typedef struct {
    const int8_t *weights; /* blocks: [fours of taps][2][pairs of units][4], filled up with zeros */
    const int32_t *bias;   /* [units, filled up to pairs], less zero point times sum of weights */
    const int32_t *scales; /* [1 or units][2]: multiplier, right shift less 1 */
    int32_t rows, depth, units;
    int32_t output_zero_point;
} edgecnn_fully_connected_blocked_params;

/* What differs between layers of one network is in the parameters: few instances, little code. */
typedef struct {
    int32_t is_joint; /* see edgecnn_block.h */
    int32_t is_per_channel;
    int32_t activation_min, activation_max;
} edgecnn_fully_connected_blocked_shape;

/* Bytes of weights for four taps of a pair of units. */
enum { EDGECNN_FOUR_TAPS = 8 };

/* Sums of three pairs of units. */
typedef struct {
    edgecnn_sums a, b, c;
} edgecnn_six_sums;

/* Four taps from x on, of which n are left; those after them have no weight. */
EDGECNN_SPECIALIZED uint32_t edgecnn_load_taps(const int8_t *x, int32_t n) {
    if (n >= 4) {
        return edgecnn_load(x);
    }
    uint32_t word = 0;
    for (int32_t i = 0; i < n; ++i) {
        word |= (uint32_t)(uint8_t)x[i] << 8 * i;
    }
    return word;
}

/* Both units of three pairs, with their three words of weights. */
EDGECNN_SPECIALIZED void edgecnn_multiply_six(edgecnn_six_sums *s, uint32_t x, uint32_t a,
                                              uint32_t b, uint32_t c, int32_t is_joint) {
    edgecnn_multiply(&s->a, x, edgecnn_sxtb16(a), edgecnn_odd_weights(a, is_joint));
    edgecnn_multiply(&s->b, x, edgecnn_sxtb16(b), edgecnn_odd_weights(b, is_joint));
    edgecnn_multiply(&s->c, x, edgecnn_sxtb16(c), edgecnn_odd_weights(c, is_joint));
    EDGECNN_SETTLE_2(s->c.even, s->c.odd);
}

/* Four taps of six units: bytes 0 and 2 of the inputs, then 1 and 3. */
EDGECNN_SPECIALIZED void edgecnn_four_taps_of_six(edgecnn_six_sums *s, uint32_t x,
                                                  const int8_t *weights, int32_t is_joint) {
    uint32_t a = edgecnn_load(weights), b = edgecnn_load(weights + 4);
    uint32_t c = edgecnn_load(weights + 8);
    EDGECNN_SETTLE_4(x, a, b, c);
    edgecnn_multiply_six(s, edgecnn_sxtb16(x), a, b, c, is_joint);
    x = edgecnn_sxtb16_ror8(x);
    a = edgecnn_load(weights + 12);
    b = edgecnn_load(weights + 16);
    c = edgecnn_load(weights + 20);
    EDGECNN_SETTLE_4(x, a, b, c);
    edgecnn_multiply_six(s, x, a, b, c, is_joint);
}

/* How sums become outputs, where all units share it; see edgecnn_requantize_with_offset. */
typedef struct {
    int32_t multiplier, shift, offset;
} edgecnn_fully_connected_scale;

EDGECNN_SPECIALIZED edgecnn_fully_connected_scale
edgecnn_fully_connected_scale_of(const edgecnn_fully_connected_blocked_params *p, int32_t unit) {
    const int32_t *scale = p->scales + 2 * unit;
    const edgecnn_fully_connected_scale result = {
        scale[0], scale[1], edgecnn_channel_offset(scale[1], p->output_zero_point)};
    return result;
}

EDGECNN_SPECIALIZED int8_t edgecnn_fully_connected_output(
    const edgecnn_fully_connected_blocked_shape *s, edgecnn_fully_connected_scale scale,
    int32_t doubled) {
    enum { UNKNOWN = 0 }; /* so that the sum's sign counts, which it does not for -128 */
    return edgecnn_requantize_with_offset(doubled, scale.multiplier, scale.shift, scale.offset,
                                          UNKNOWN, s->activation_min, s->activation_max);
}

/* A pair of units; the second is left out where it only fills up the weights. */
EDGECNN_SPECIALIZED void edgecnn_fully_connected_pair(
    const edgecnn_fully_connected_blocked_shape *s,
    const edgecnn_fully_connected_blocked_params *p, edgecnn_fully_connected_scale scale,
    edgecnn_sums sums, int32_t unit, int32_t is_single, int8_t *output) {
    const int32_t odd = edgecnn_odd_doubled(sums, s->is_joint);
    if (s->is_per_channel) {
        scale = edgecnn_fully_connected_scale_of(p, unit);
    }
    output[unit] = edgecnn_fully_connected_output(s, scale, edgecnn_even_doubled(sums));
    if (!is_single) {
        if (s->is_per_channel) {
            scale = edgecnn_fully_connected_scale_of(p, unit + 1);
        }
        output[unit + 1] = edgecnn_fully_connected_output(s, scale, odd);
    }
}

/* Six units; where there are only five, the last is left out. Returns the weights of the next. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_fully_connected_six(
    const edgecnn_fully_connected_blocked_shape *s,
    const edgecnn_fully_connected_blocked_params *p, edgecnn_fully_connected_scale scale,
    const int8_t *weights, int32_t unit, const int8_t *x, int8_t *output) {
    const int32_t *bias = p->bias + unit, depth = p->depth, is_five = unit + 5 == p->units;
    edgecnn_six_sums sums = {edgecnn_sums_start(bias[0], bias[1], s->is_joint),
                             edgecnn_sums_start(bias[2], bias[3], s->is_joint),
                             edgecnn_sums_start(bias[4], bias[5], s->is_joint)};
    const int8_t *const end = x + (depth & ~15);
    while (x != end) {
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            edgecnn_four_taps_of_six(&sums, edgecnn_load(x + 4 * i),
                                     weights + 3 * EDGECNN_FOUR_TAPS * i, s->is_joint);
        }
        x += 16;
        weights += 4 * 3 * EDGECNN_FOUR_TAPS;
    }
#pragma GCC unroll 1
    for (int32_t n = depth & 15; n > 0; n -= 4) {
        edgecnn_four_taps_of_six(&sums, edgecnn_load_taps(x, n), weights, s->is_joint);
        x += 4;
        weights += 3 * EDGECNN_FOUR_TAPS;
    }
    edgecnn_fully_connected_pair(s, p, scale, sums.a, unit, 0, output);
    edgecnn_fully_connected_pair(s, p, scale, sums.b, unit + 2, 0, output);
    edgecnn_fully_connected_pair(s, p, scale, sums.c, unit + 4, is_five, output);
    return weights;
}

/* Two units, or the last one. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_fully_connected_two(
    const edgecnn_fully_connected_blocked_shape *s,
    const edgecnn_fully_connected_blocked_params *p, edgecnn_fully_connected_scale scale,
    const int8_t *weights, int32_t unit, const int8_t *x, int8_t *output) {
    const int32_t is_one = unit + 1 == p->units;
    edgecnn_sums sums = edgecnn_sums_start(p->bias[unit], p->bias[unit + 1], s->is_joint);
#pragma GCC unroll 1
    for (int32_t n = p->depth; n > 0; n -= 4) {
        const uint32_t taps = edgecnn_load_taps(x, n);
        const uint32_t a = edgecnn_load(weights), b = edgecnn_load(weights + 4);
        edgecnn_multiply(&sums, edgecnn_sxtb16(taps), edgecnn_sxtb16(a),
                         edgecnn_odd_weights(a, s->is_joint));
        edgecnn_multiply(&sums, edgecnn_sxtb16_ror8(taps), edgecnn_sxtb16(b),
                         edgecnn_odd_weights(b, s->is_joint));
        x += 4;
        weights += EDGECNN_FOUR_TAPS;
    }
    edgecnn_fully_connected_pair(s, p, scale, sums, unit, is_one, output);
    return weights;
}

EDGECNN_SPECIALIZED void edgecnn_fully_connected_blocked(
    const edgecnn_fully_connected_blocked_shape *s,
    const edgecnn_fully_connected_blocked_params *p, const int8_t *input, int8_t *output) {
    const edgecnn_fully_connected_scale scale = edgecnn_fully_connected_scale_of(p, 0);
    for (int32_t row = 0; row < p->rows; ++row) {
        const int8_t *weights = p->weights;
        int32_t unit = 0;
        for (; unit + 5 <= p->units; unit += 6) {
            weights = edgecnn_fully_connected_six(s, p, scale, weights, unit, input, output);
        }
        for (; unit < p->units; unit += 2) {
            weights = edgecnn_fully_connected_two(s, p, scale, weights, unit, input, output);
        }
        input += p->depth;
        output += p->units;
    }
}

#endif
