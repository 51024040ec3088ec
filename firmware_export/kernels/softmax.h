/* Softmax over rows, in gemmlowp's fixed point (TensorFlow Lite reference/softmax.h). */
#ifndef EDGECNN_SOFTMAX_H
#define EDGECNN_SOFTMAX_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, left_shift; /* bring a difference of inputs to Q5.26 */
    int32_t difference_min;         /* smaller differences count as nothing */
} edgecnn_softmax_params;

#define EDGECNN_SOFTMAX_SUM_INTEGER_BITS 12

/* x * 2^n, saturated to int32. */
EDGECNN_INLINE int32_t edgecnn_softmax_saturating_shift(int32_t x, int32_t n) {
    const int64_t wide = (int64_t)x * ((int64_t)1 << n);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* exp(a), Q0.31, for a in [-1/4, 0), Q0.31: Taylor's series around -1/8. */
EDGECNN_INLINE int32_t edgecnn_softmax_exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = edgecnn_doubling_high_mul(x, x);
    const int32_t x3 = edgecnn_doubling_high_mul(x2, x);
    const int32_t x4_over_4 =
        edgecnn_rounding_divide_by_pot(edgecnn_doubling_high_mul(x2, x2), 2);
    const int32_t tail = edgecnn_rounding_divide_by_pot(
        edgecnn_doubling_high_mul(x4_over_4 + x3, third) + x2, 1);
    return exp_minus_eighth + edgecnn_doubling_high_mul(exp_minus_eighth, x + tail);
}

/* exp(a), Q0.31, for a <= 0, Q5.26. */
EDGECNN_INLINE int32_t edgecnn_softmax_exp(int32_t a) {
    /* exp(-2^k), Q0.31, for k = -2 .. 4 */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308,
                                       39332535,   720401,     242};
    const int32_t quarter = 1 << 24;
    const int32_t a_mod_quarter = (a & (quarter - 1)) - quarter;
    const int32_t remainder = a_mod_quarter - a;
    int32_t result = edgecnn_softmax_exp_quarter(edgecnn_shift_left(a_mod_quarter, 5));
    if (a == 0) {
        return INT32_MAX;
    }
    for (int32_t k = 0; k < 7; ++k) {
        if ((remainder >> (24 + k)) & 1) {
            result = edgecnn_doubling_high_mul(result, factors[k]);
        }
    }
    return result;
}

/* 1 / (1 + a), Q0.31, for a in [0, 1), Q0.31: Newton-Raphson from 48/17 - 32/17 d. */
EDGECNN_INLINE int32_t edgecnn_softmax_reciprocal(int32_t a) {
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + edgecnn_doubling_high_mul(half_denominator, -1010580540);
    for (int32_t i = 0; i < 3; ++i) {
        const int32_t error = (1 << 29) - edgecnn_doubling_high_mul(half_denominator, x);
        x += edgecnn_softmax_saturating_shift(edgecnn_doubling_high_mul(x, error), 2);
    }
    return edgecnn_softmax_saturating_shift(x, 1);
}

EDGECNN_INLINE int32_t edgecnn_softmax_leading_zeros(uint32_t x) {
    int32_t n = 0;
    while (!(x & 0x80000000u)) {
        x <<= 1;
        ++n;
    }
    return n;
}

EDGECNN_INLINE int32_t edgecnn_softmax_power(const edgecnn_softmax_params *p,
                                             int32_t difference) {
    return edgecnn_softmax_exp(edgecnn_scale(difference, p->multiplier, p->left_shift));
}

EDGECNN_FUNCTION void edgecnn_softmax(const edgecnn_softmax_params *p, const int8_t *input,
                                      int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t largest = INT8_MIN;
        for (int32_t i = 0; i < p->depth; ++i) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t difference = input[i] - largest;
            if (difference >= p->difference_min) {
                sum += edgecnn_rounding_divide_by_pot(edgecnn_softmax_power(p, difference),
                                                      EDGECNN_SOFTMAX_SUM_INTEGER_BITS);
            }
        }
        const int32_t headroom = edgecnn_softmax_leading_zeros((uint32_t)sum);
        const int32_t share = edgecnn_softmax_reciprocal(
            (int32_t)(((uint32_t)sum << headroom) - ((uint32_t)1 << 31)));
        const int32_t exponent = EDGECNN_SOFTMAX_SUM_INTEGER_BITS - headroom + 31 - 8;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t difference = input[i] - largest;
            int32_t value = INT8_MIN;
            if (difference >= p->difference_min && exponent <= 31) { /* over 31: under a half */
                const int32_t power = edgecnn_softmax_power(p, difference);
                value += edgecnn_rounding_divide_by_pot(edgecnn_doubling_high_mul(share, power),
                                                        exponent);
            }
            output[i] = (int8_t)edgecnn_clamp(value, INT8_MIN, INT8_MAX);
        }
        input += p->depth;
        output += p->depth;
    }
}

#endif
