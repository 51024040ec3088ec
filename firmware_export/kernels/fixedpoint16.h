/* int16 sigmoid and tanh of TensorFlow Lite Micro's recurrent kernels: interpolation in a table.
 *
 * Twin of edgecnn/fixedpoint16.py. Specification: TensorFlow Lite reference/integer_ops/logistic.h
 * and tanh.h. Results are in Q0.15.
 */
#ifndef EDGECNN_FIXEDPOINT16_H
#define EDGECNN_FIXEDPOINT16_H

#include "edgecnn_fixedpoint.h"

/* The table at magnitude / 2^bits, times 2^bits: sigmoid(i / 24) in Q0.16. */
EDGECNN_INLINE int32_t edgecnn_sigmoid_table(int32_t magnitude, int32_t bits, int32_t saturated) {
    static const uint16_t table[256] = {
        32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794,
        41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443,
        48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374,
        54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544,
        58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279,
        61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990,
        63090, 63186, 63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030,
        64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652,
        64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019,
        65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234,
        65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360,
        65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
        65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476,
        65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
        65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516,
        65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
        65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
        65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532,
        65532, 65532, 65532, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534,
        65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535};
    const int32_t index = magnitude >> bits;
    if (index >= 255) {
        return saturated;
    }
    const int32_t low = table[index];
    const int32_t fraction = magnitude & ((1 << bits) - 1);
    return (low << bits) + fraction * (table[index + 1] - low);
}

/* sigmoid of multiples of 1 / (3 * 4096). */
EDGECNN_INLINE int32_t edgecnn_sigmoid_curve(int32_t scaled) {
    const int32_t y =
        edgecnn_sigmoid_table(scaled < 0 ? -scaled : scaled, 9, (int32_t)INT16_MAX << 10);
    return (scaled >= 0 ? y + 512 : 33554432 - y + 511) >> 10;
}

/* sigmoid of Q3.12. */
EDGECNN_INLINE int32_t edgecnn_sigmoid_q15(int32_t x) {
    return edgecnn_sigmoid_curve(3 * x);
}

/* tanh of multiples of 1 / (3 * 4096). */
EDGECNN_INLINE int32_t edgecnn_tanh_curve(int32_t scaled) {
    const int32_t y = edgecnn_sigmoid_table(scaled < 0 ? -scaled : scaled, 8, 0xFFFF << 8);
    return (scaled >= 0 ? y - 8388608 + 128 : -y + 8388608 + 127) >> 8;
}

/* tanh of int16 values with 0 to 6 integer bits. */
EDGECNN_INLINE int32_t edgecnn_tanh_q15(int32_t x, int32_t integer_bits) {
    const int32_t shift = integer_bits - 3;
    /* Right shifts round to nearest, halves up. */
    return edgecnn_tanh_curve(shift >= 0 ? 3 * x * (1 << shift)
                                         : (((3 * x) >> (-shift - 1)) + 1) >> 1);
}

typedef struct {
    int32_t size;
    int32_t multiplier, right_shift; /* from an int16 input to the argument of a curve */
} edgecnn_curve_params;

/* Rounded to nearest, halves up. */
EDGECNN_INLINE int32_t edgecnn_curve_argument(const edgecnn_curve_params *p, int16_t value) {
    const int32_t product = value * p->multiplier;
    return p->right_shift == 0 ? product : ((product >> (p->right_shift - 1)) + 1) >> 1;
}

#endif
