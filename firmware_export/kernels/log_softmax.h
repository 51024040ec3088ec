/* Logarithm of the softmax over rows (TensorFlow Lite reference/log_softmax.h). */
#ifndef EDGECNN_LOG_SOFTMAX_H
#define EDGECNN_LOG_SOFTMAX_H

#include "edgecnn_softmax.h"

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, left_shift;            /* bring a difference of inputs to Q5.26 */
    int32_t inverse_multiplier, inverse_shift; /* and back */
    int32_t difference_min;                    /* smaller differences count as nothing */
} edgecnn_log_softmax_params;

/* log(x), Q5.26, of x >= 1, Q12.19: Pade's approximation around a power of sqrt(2). */
EDGECNN_INLINE int32_t edgecnn_log_softmax_log(int32_t x) {
    const int32_t log_2 = 1488522236, sqrt_half = 1518500250, fourth_root_of_half = 1805811301;
    const int32_t quarter = 1 << 23; /* Q6.25 */
    const int32_t zeros = edgecnn_softmax_leading_zeros((uint32_t)x);
    const int32_t first = edgecnn_softmax_saturating_shift(
        edgecnn_doubling_high_mul(edgecnn_shift_left(x, zeros - 1), sqrt_half), 1);
    const int32_t scaled = edgecnn_doubling_high_mul(x, sqrt_half);
    const int32_t scaled_zeros = edgecnn_softmax_leading_zeros((uint32_t)scaled) - 1;
    const int32_t second = edgecnn_softmax_saturating_shift(x, scaled_zeros);
    const int32_t r = first < second ? first : second;
    const int32_t power_a = (12 - zeros) * (1 << 25) + quarter;
    const int32_t power_b = (12 - scaled_zeros) * (1 << 25) - quarter;
    const int32_t power = power_a > power_b ? power_a : power_b;
    const int32_t p = (int32_t)(((int64_t)r + fourth_root_of_half + 1) / 2);
    const int32_t q = (r - fourth_root_of_half) * 2;
    const int32_t square = edgecnn_doubling_high_mul(q, q);
    const int32_t numerator =
        edgecnn_doubling_high_mul(q, r) +
        edgecnn_doubling_high_mul(edgecnn_doubling_high_mul(q, square), 117049297);
    const int32_t denominator =
        edgecnn_doubling_high_mul(
            p, 1057819769 + q + edgecnn_doubling_high_mul(127690142, square)) +
        edgecnn_doubling_high_mul(638450708, q);
    const int32_t fraction =
        edgecnn_doubling_high_mul(edgecnn_rounding_divide_by_pot(numerator, 6),
                                  edgecnn_softmax_reciprocal(denominator));
    return edgecnn_softmax_saturating_shift(edgecnn_doubling_high_mul(power, log_2) + fraction, 1);
}

EDGECNN_FUNCTION void edgecnn_log_softmax(const edgecnn_log_softmax_params *p,
                                          const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t largest = INT8_MIN;
        for (int32_t i = 0; i < p->depth; ++i) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t difference = input[i] - largest;
            if (difference >= p->difference_min) {
                const int32_t power = edgecnn_softmax_exp(
                    edgecnn_scale(difference, p->multiplier, p->left_shift));
                sum += edgecnn_rounding_divide_by_pot(power, EDGECNN_SOFTMAX_SUM_INTEGER_BITS);
            }
        }
        const int32_t log_sum = edgecnn_log_softmax_log(sum);
        const int32_t smallest =
            edgecnn_scale(log_sum + INT32_MIN, p->inverse_multiplier, p->inverse_shift);
        const int32_t limit =
            smallest > p->difference_min - 1 ? smallest : p->difference_min - 1;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t difference = input[i] - largest;
            int32_t value = INT8_MIN;
            if (difference > limit) {
                const int32_t scaled = edgecnn_scale(difference, p->multiplier, p->left_shift);
                value = edgecnn_rounding_divide_by_pot(scaled - log_sum, 31 - 5 - 4) + INT8_MAX;
            }
            output[i] = (int8_t)edgecnn_clamp(value, INT8_MIN, INT8_MAX);
        }
        input += p->depth;
        output += p->depth;
    }
}

#endif
