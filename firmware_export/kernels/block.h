/* Products of blocks of a matrix: four rows of int8 weights, packed at export, with one or two
 * columns of int16 inputs.
 *
 * A word of weights holds a pair of taps of two rows: bytes 0 and 2 are the even row, and each half
 * as a whole is the even row plus 256 times the odd one. SMLAD with the word therefore gives the
 * sum of both rows at once, from which the even row's, known by itself, is taken off: one SXTB16 a
 * word instead of two. That is exact while the odd row's sum is below 2^23 in magnitude and no odd
 * weight is -128 (is_joint); else bytes 1 and 3 are the odd row as they are. */
#ifndef EDGECNN_BLOCK_H
#define EDGECNN_BLOCK_H

#include "edgecnn_dsp.h"

enum { EDGECNN_ROWS = 4, EDGECNN_PAIR_BYTES = 8 /* of weights, for a pair of taps of all rows */ };

/* Sums of an even and an odd row; the odd one with 256 in front and the even one in it if joint. */
typedef struct {
    int32_t even, odd;
} edgecnn_sums;

EDGECNN_SPECIALIZED edgecnn_sums edgecnn_sums_start(int32_t even_bias, int32_t odd_bias,
                                                    int32_t is_joint) {
    edgecnn_sums sums = {even_bias, odd_bias};
    if (is_joint) {
        sums.odd = edgecnn_wrapping_add(edgecnn_shift_left(odd_bias, 8), even_bias);
    }
    return sums;
}

EDGECNN_SPECIALIZED int32_t edgecnn_odd_sum(edgecnn_sums sums, int32_t is_joint) {
    return is_joint ? (int32_t)((uint32_t)sums.odd - (uint32_t)sums.even) >> 8 : sums.odd;
}

/* The products of a pair of taps of two rows with one column. */
EDGECNN_SPECIALIZED void edgecnn_multiply(edgecnn_sums *sums, uint32_t x, uint32_t even,
                                          uint32_t odd) {
    sums->even = edgecnn_smlad(x, even, sums->even);
    sums->odd = edgecnn_smlad(x, odd, sums->odd);
}

EDGECNN_SPECIALIZED uint32_t edgecnn_odd_weights(uint32_t word, int32_t is_joint) {
    return is_joint ? word : edgecnn_sxtb16_ror8(word);
}

/* Four rows with two columns, whose words alternate in x, over a number of pairs of taps. */
EDGECNN_SPECIALIZED void edgecnn_block_4x2(const int8_t *weights, const int8_t *x, int32_t pairs,
                                           int32_t is_joint, const int32_t *channels,
                                           edgecnn_sums sums[2][2]) {
    const int32_t n = EDGECNN_CHANNEL_WORDS;
    edgecnn_sums a0 = edgecnn_sums_start(channels[0], channels[n], is_joint), a1 = a0;
    edgecnn_sums b0 = edgecnn_sums_start(channels[2 * n], channels[3 * n], is_joint), b1 = b0;
    const int8_t *const end = weights + pairs * EDGECNN_PAIR_BYTES;
#pragma GCC unroll 4
    while (weights != end) {
        const uint32_t x0 = edgecnn_load(x), x1 = edgecnn_load(x + 4);
        const uint32_t a = edgecnn_load(weights), b = edgecnn_load(weights + 4);
        const uint32_t a_even = edgecnn_sxtb16(a), a_odd = edgecnn_odd_weights(a, is_joint);
        edgecnn_multiply(&a0, x0, a_even, a_odd);
        edgecnn_multiply(&a1, x1, a_even, a_odd);
        const uint32_t b_even = edgecnn_sxtb16(b), b_odd = edgecnn_odd_weights(b, is_joint);
        edgecnn_multiply(&b0, x0, b_even, b_odd);
        edgecnn_multiply(&b1, x1, b_even, b_odd);
        x += 8;
        weights += EDGECNN_PAIR_BYTES;
    }
    sums[0][0] = a0;
    sums[0][1] = b0;
    sums[1][0] = a1;
    sums[1][1] = b1;
}

#endif
