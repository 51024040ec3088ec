/* int8 functions of one or two int8 values as a straight line: a sum of multiples, of which the top
 * bits are the output. The numbers are found at export, where every input is tried: rounding of
 * the functions' own is in them. See firmware_export/linear.py. */
#ifndef EDGECNN_LINEAR_H
#define EDGECNN_LINEAR_H

#include "edgecnn_dsp.h"

/* The mask of the upper bytes of halves, in a register: gcc else makes a constant of it, which an
 * instruction with a shift cannot have. */
EDGECNN_SPECIALIZED uint32_t edgecnn_upper_bytes(void) {
    uint32_t mask = 0xFF00FF00u;
    EDGECNN_SETTLE_1(mask);
    return mask;
}

/* Bytes 0 and 2, and 1 and 3, of a word as upper bytes. */
EDGECNN_SPECIALIZED uint32_t edgecnn_even_bytes(uint32_t word, uint32_t mask) {
    return word << 8 & mask;
}
EDGECNN_SPECIALIZED uint32_t edgecnn_odd_bytes(uint32_t word, uint32_t mask) {
    return word & mask;
}
EDGECNN_SPECIALIZED uint32_t edgecnn_only_byte(int8_t value) { return (uint32_t)value << 8; }

/* The output of a sum. Fused activations may end it earlier. */
EDGECNN_SPECIALIZED int8_t edgecnn_linear_output(int32_t sum, int32_t shift, int32_t low,
                                                 int32_t high) {
    int32_t result = edgecnn_ssat8(sum >> shift);
    if (low > -128) {
        result = result < low ? low : result;
    }
    if (high < 127) {
        result = result > high ? high : result;
    }
    return (int8_t)result;
}

#endif
