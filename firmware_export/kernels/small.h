/* Sums of products for cores without DSP instructions, above all the Cortex-M0 and M0+: eight
 * registers for most instructions, and products of 32 bits only.
 *
 * Two pixels share a multiplication. A word x1 * 2^16 + x0 times a weight holds both products, and
 * the sum s of two such words still holds two sums of less than 2^15 in magnitude (proven at
 * export). The high one is taken out of each s, rounded: the low half as a signed number joins
 * neither. Sums of s itself wrap around, and give the low one once the high one is known. */
#ifndef EDGECNN_SMALL_H
#define EDGECNN_SMALL_H

#include "edgecnn_dsp.h"

#if defined(__GNUC__) && defined(__thumb__) && !defined(__thumb2__)
#define EDGECNN_THUMB1 1
#define EDGECNN_ASSEMBLY static __attribute__((naked, noinline, unused))
#else
#define EDGECNN_THUMB1 0
#endif

/* Two pixels in one word. */
EDGECNN_SPECIALIZED uint32_t edgecnn_small_join(int32_t low, int32_t high) {
    return (uint32_t)low + ((uint32_t)high << 16);
}

/* --- requantization ---------------------------------------------------------------------------- */

/* How channels are rescaled: a table of [channels][2 + pieces], with the pieces of the multiplier,
 * the lowest first. The rounding has the zero point in it, as an unsigned byte. */
enum { EDGECNN_SMALL_ROUNDING, EDGECNN_SMALL_SHIFT, EDGECNN_SMALL_PIECES };

/* Words of a channel in the table. */
EDGECNN_SPECIALIZED int32_t edgecnn_small_words(int32_t pieces) {
    return EDGECNN_SMALL_PIECES + pieces;
}

/* What all channels have in common. */
typedef struct {
    int32_t pieces;
    int32_t has_sign; /* whether the sign of the sum matters: the zero point is not -128 */
    int32_t low, high;
} edgecnn_small_range;

/* edgecnn_requantize of a sum that has the bias in it, in products of 32 bits.
 *
 * The multiplier m is cut into three pieces of 11 bits, for |sum| < 2^20, or four of 8 bits, for
 * |sum| < 2^23; each step keeps floor(sum * (pieces so far) / 2^bits), so that h ends as
 * floor(sum * m / 2^22), or 2^24. Both roundings together are floor((sum * m + c) / 2^(31 + r))
 * for a right shift of r >= 1, with c = 2^(30 + r) + 2^30, and 2^31 less for negative sums, where
 * halves go away from zero. Below zero the result is clamped where the zero point is -128, so
 * that the sign does not matter. */
EDGECNN_SPECIALIZED int8_t edgecnn_small_requantize(int32_t sum, const int32_t *scale,
                                                    edgecnn_small_range range) {
    const int32_t bits = range.pieces == 4 ? 8 : 11;
    const int32_t *const m = scale + EDGECNN_SMALL_PIECES;
    int32_t h = sum * m[0];
    h = (h >> bits) + sum * m[1];
    h = (h >> bits) + sum * m[2];
    if (range.pieces == 4) {
        h = (h >> bits) + sum * m[3];
    }
    if (range.has_sign) {
        h += edgecnn_shift_left(sum >> 31, range.pieces == 4 ? 7 : 9);
    }
    int32_t u = (h + scale[EDGECNN_SMALL_ROUNDING]) >> scale[EDGECNN_SMALL_SHIFT];
    if ((uint32_t)u > 255u) { /* one comparison sees both ends */
        u = u < 0 ? 0 : 255;
    }
    if (range.low > -128) {
        u = u < range.low + 128 ? range.low + 128 : u;
    }
    if (range.high < 127) {
        u = u > range.high + 128 ? range.high + 128 : u;
    }
    return (int8_t)(u - 128);
}

/* Whether assembly does that: three pieces, and no clamping but to int8. */
EDGECNN_SPECIALIZED int32_t edgecnn_small_is_plain(edgecnn_small_range range) {
    return range.pieces == 3 && range.low == -128 && range.high == 127;
}

#if EDGECNN_THUMB1

/* edgecnn_small_requantize: sum in r4, scale r2, its shift r3, bias r12, rounding lr; byte in r5;
 * r6 is lost. */
#define EDGECNN_SMALL_REQUANTIZE(sign)                                                             \
    "add r4, r12\n"                                                                                \
    "ldr r5, [r2, #8]\n"                                                                           \
    "muls r5, r4, r5\n"                                                                            \
    "asrs r5, r5, #11\n"                                                                           \
    "ldr r6, [r2, #12]\n"                                                                          \
    "muls r6, r4, r6\n"                                                                            \
    "adds r5, r5, r6\n"                                                                            \
    "asrs r5, r5, #11\n"                                                                           \
    "ldr r6, [r2, #16]\n"                                                                          \
    "muls r6, r4, r6\n"                                                                            \
    "adds r5, r5, r6\n" sign "add r5, lr\n"                                                        \
    "asrs r5, r3\n"                                                                                \
    "cmp r5, #255\n"                                                                               \
    "bls 9f\n"                                                                                     \
    "asrs r5, r5, #31\n"                                                                           \
    "mvns r5, r5\n"                                                                                \
    "9:\n"                                                                                         \
    "subs r5, #128\n"

#define EDGECNN_SMALL_NO_SIGN ""
#define EDGECNN_SMALL_SIGN                                                                         \
    "asrs r4, r4, #31\n"                                                                           \
    "lsls r4, r4, #9\n"                                                                            \
    "adds r5, r5, r4\n"

#endif

#endif
