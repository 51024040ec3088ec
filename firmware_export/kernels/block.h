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

/* The sums doubled, as requantization wants them; the odd one's factor of 256 then costs nothing. */
EDGECNN_SPECIALIZED int32_t edgecnn_even_doubled(edgecnn_sums sums) {
    return edgecnn_shift_left(sums.even, 1);
}

EDGECNN_SPECIALIZED int32_t edgecnn_odd_doubled(edgecnn_sums sums, int32_t is_joint) {
    return is_joint ? (int32_t)((uint32_t)sums.odd - (uint32_t)sums.even) >> 7
                    : edgecnn_shift_left(sums.odd, 1);
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

/* The sums of four rows with two columns: [pair of rows][column]. */
typedef struct {
    edgecnn_sums a0, a1, b0, b1;
} edgecnn_sums_4x2;

/* One pair of taps of four rows with two columns. */
EDGECNN_SPECIALIZED void edgecnn_block_step(const int8_t *weights, const int8_t *x,
                                            int32_t is_joint, edgecnn_sums_4x2 *s) {
    const uint32_t x0 = edgecnn_load(x), x1 = edgecnn_load(x + 4);
    const uint32_t a = edgecnn_load(weights), b = edgecnn_load(weights + 4);
    const uint32_t a_even = edgecnn_sxtb16(a), a_odd = edgecnn_odd_weights(a, is_joint);
    edgecnn_multiply(&s->a0, x0, a_even, a_odd);
    edgecnn_multiply(&s->a1, x1, a_even, a_odd);
    const uint32_t b_even = edgecnn_sxtb16(b), b_odd = edgecnn_odd_weights(b, is_joint);
    edgecnn_multiply(&s->b0, x0, b_even, b_odd);
    edgecnn_multiply(&s->b1, x1, b_even, b_odd);
}

#if EDGECNN_HAS_DSP && defined(__OPTIMIZE__)

/* A number of steps of joint rows; returns the weights behind them. In C, Clang spills two of the
 * sums, and both compilers part the loads, of which each costs a cycle less behind another. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_block_steps(const int8_t *weights, const int8_t **x,
                                                      int32_t steps, edgecnn_sums_4x2 *s) {
    uint32_t x0, x1, w;
    __asm__ volatile(
        ".rept %c[steps]\n\t"
        "ldr %[x0], [%[x]], #4\n\t"
        "ldr %[x1], [%[x]], #4\n\t"
        "ldr %[w], [%[weights]], #4\n\t"
        "smlad %[a0o], %[x0], %[w], %[a0o]\n\t"
        "smlad %[a1o], %[x1], %[w], %[a1o]\n\t"
        "sxtb16 %[w], %[w]\n\t"
        "smlad %[a0e], %[x0], %[w], %[a0e]\n\t"
        "smlad %[a1e], %[x1], %[w], %[a1e]\n\t"
        "ldr %[w], [%[weights]], #4\n\t"
        "smlad %[b0o], %[x0], %[w], %[b0o]\n\t"
        "smlad %[b1o], %[x1], %[w], %[b1o]\n\t"
        "sxtb16 %[w], %[w]\n\t"
        "smlad %[b0e], %[x0], %[w], %[b0e]\n\t"
        "smlad %[b1e], %[x1], %[w], %[b1e]\n\t"
        ".endr"
        : [x] "+r"(*x), [weights] "+r"(weights), [x0] "=&r"(x0), [x1] "=&r"(x1), [w] "=&r"(w),
          [a0e] "+r"(s->a0.even), [a0o] "+r"(s->a0.odd), [a1e] "+r"(s->a1.even),
          [a1o] "+r"(s->a1.odd), [b0e] "+r"(s->b0.even), [b0o] "+r"(s->b0.odd),
          [b1e] "+r"(s->b1.even), [b1o] "+r"(s->b1.odd)
        : [steps] "i"(steps)
        : "memory");
    return weights;
}

#else

EDGECNN_SPECIALIZED const int8_t *edgecnn_block_steps(const int8_t *weights, const int8_t **x,
                                                      int32_t steps, edgecnn_sums_4x2 *s) {
    for (int32_t i = 0; i < steps; ++i) {
        edgecnn_block_step(weights, *x, 1, s);
        weights += EDGECNN_PAIR_BYTES;
        *x += 8;
    }
    return weights;
}

#endif

/* Four rows with two columns, whose words alternate in x, over a number of pairs of taps. */
EDGECNN_SPECIALIZED edgecnn_sums_4x2 edgecnn_block_4x2(const int8_t *weights, const int8_t *x,
                                                       int32_t pairs, int32_t is_joint,
                                                       const int32_t *channels) {
    enum { N = EDGECNN_CHANNEL_WORDS };
    edgecnn_sums_4x2 s;
    s.a0 = s.a1 = edgecnn_sums_start(channels[0], channels[N], is_joint);
    s.b0 = s.b1 = edgecnn_sums_start(channels[2 * N], channels[3 * N], is_joint);
    if (is_joint) {
        const int8_t *const end = weights + pairs / 8 * 8 * EDGECNN_PAIR_BYTES;
        while (weights != end) {
            weights = edgecnn_block_steps(weights, &x, 8, &s);
        }
        if (EDGECNN_IS_KNOWN(pairs)) {
            edgecnn_block_steps(weights, &x, pairs % 8, &s);
        } else {
            for (int32_t i = pairs % 8; i > 0; --i) {
                weights = edgecnn_block_steps(weights, &x, 1, &s);
            }
        }
        return s;
    }
    for (int32_t i = pairs; i > 0; --i) {
        edgecnn_block_step(weights, x, is_joint, &s);
        weights += EDGECNN_PAIR_BYTES;
        x += 8;
    }
    return s;
}

/* The sums of two joint rows with four columns. */
typedef struct {
    edgecnn_sums c0, c1, c2, c3;
} edgecnn_sums_2x4;

/* The most pairs of taps: their steps are unrolled, since no register is left to count them. */
enum { EDGECNN_MOST_PAIRS_2X4 = 24 };

#if EDGECNN_HAS_DSP && defined(__OPTIMIZE__)

/* One pair of taps; the second two of columns is right behind the first one. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_block_step_2x4(const int8_t *weights, const int8_t **x,
                                                         int32_t pairs, edgecnn_sums_2x4 *s) {
    uint32_t x0, x1, w, even;
    __asm__ volatile(
        "ldr %[x0], [%[x], %[apart]]\n\t"
        "ldr %[x1], [%[x], %[apart4]]\n\t"
        "ldr %[w], [%[weights]], #8\n\t"
        "sxtb16 %[even], %[w]\n\t"
        "smlad %[c2o], %[x0], %[w], %[c2o]\n\t"
        "smlad %[c3o], %[x1], %[w], %[c3o]\n\t"
        "smlad %[c2e], %[x0], %[even], %[c2e]\n\t"
        "smlad %[c3e], %[x1], %[even], %[c3e]\n\t"
        "ldr %[x0], [%[x]], #4\n\t"
        "ldr %[x1], [%[x]], #4\n\t"
        "smlad %[c0o], %[x0], %[w], %[c0o]\n\t"
        "smlad %[c1o], %[x1], %[w], %[c1o]\n\t"
        "smlad %[c0e], %[x0], %[even], %[c0e]\n\t"
        "smlad %[c1e], %[x1], %[even], %[c1e]"
        : [x] "+r"(*x), [weights] "+r"(weights), [x0] "=&r"(x0), [x1] "=&r"(x1), [w] "=&r"(w),
          [even] "=&r"(even), [c0e] "+r"(s->c0.even), [c0o] "+r"(s->c0.odd),
          [c1e] "+r"(s->c1.even), [c1o] "+r"(s->c1.odd), [c2e] "+r"(s->c2.even),
          [c2o] "+r"(s->c2.odd), [c3e] "+r"(s->c3.even), [c3o] "+r"(s->c3.odd)
        : [apart] "i"(pairs * 8), [apart4] "i"(pairs * 8 + 4)
        : "memory");
    return weights;
}

#else

EDGECNN_SPECIALIZED const int8_t *edgecnn_block_step_2x4(const int8_t *weights, const int8_t **x,
                                                         int32_t pairs, edgecnn_sums_2x4 *s) {
    const uint32_t word = edgecnn_load(weights), even = edgecnn_sxtb16(word);
    edgecnn_multiply(&s->c0, edgecnn_load(*x), even, word);
    edgecnn_multiply(&s->c1, edgecnn_load(*x + 4), even, word);
    edgecnn_multiply(&s->c2, edgecnn_load(*x + pairs * 8), even, word);
    edgecnn_multiply(&s->c3, edgecnn_load(*x + pairs * 8 + 4), even, word);
    *x += 8;
    return weights + EDGECNN_PAIR_BYTES;
}

#endif

/* Two joint rows of a block of four, the first or the second ones, with two twos of columns behind
 * each other. All sums at once, of up to EDGECNN_MOST_PAIRS_2X4 pairs, which are known. */
EDGECNN_SPECIALIZED edgecnn_sums_2x4 edgecnn_block_2x4(const int8_t *weights, const int8_t *x,
                                                       int32_t pairs, const int32_t *channels) {
    edgecnn_sums_2x4 s;
    s.c0 = edgecnn_sums_start(channels[0], channels[EDGECNN_CHANNEL_WORDS], 1);
    s.c1 = s.c2 = s.c3 = s.c0;
#if defined(__GNUC__)
#pragma GCC unroll 24
#endif
    for (int32_t i = 0; i < pairs; ++i) {
        weights = edgecnn_block_step_2x4(weights, &x, pairs, &s);
    }
    return s;
}

#endif
