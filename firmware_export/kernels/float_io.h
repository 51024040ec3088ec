/* Float input and output of an int8 network: the only place in C that computes with floats.
 *
 * Specification: TensorFlow Lite's kernels/internal/reference/quantize.h and dequantize.h, whose
 * bits these are, in float32 with IEEE arithmetic (not with -ffast-math). What quantize.h leaves
 * undefined is defined here: NaN counts as 0, and what int32 cannot hold saturates.
 */
#ifndef EDGECNN_FLOAT_IO_H
#define EDGECNN_FLOAT_IO_H

#include "edgecnn_fixedpoint.h"

/* clamp(round(value / scale) + zero_point) to int8, halves away from zero. */
EDGECNN_INLINE int8_t edgecnn_quantize_value(float value, float scale, int32_t zero_point) {
    const float steps = value / scale;
    /* Nothing beyond 256 steps comes back from saturation; comparisons with NaN are false. */
    const float bounded = steps > 256.0f ? 256.0f : steps < -256.0f ? -256.0f : steps;
    const float real = bounded == bounded ? bounded : 0.0f;
    const int32_t whole = (int32_t)real;
    const float rest = real - (float)whole;
    const int32_t rounded = whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
    return (int8_t)edgecnn_clamp(rounded + zero_point, -128, 127);
}

/* n reals to int8. */
EDGECNN_INLINE void edgecnn_quantize(const float *values, float scale, int32_t zero_point,
                                     uint32_t n, int8_t *output) {
    for (uint32_t i = 0; i < n; ++i) {
        output[i] = edgecnn_quantize_value(values[i], scale, zero_point);
    }
}

/* n int8 values to the reals that they stand for. */
EDGECNN_INLINE void edgecnn_dequantize(const int8_t *input, float scale, int32_t zero_point,
                                       uint32_t n, float *values) {
    for (uint32_t i = 0; i < n; ++i) {
        values[i] = scale * (float)(input[i] - zero_point);
    }
}

#endif
