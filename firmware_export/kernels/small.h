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

/* --- products of a filter with four pixels ----------------------------------------------------- */

/* Columns of two pairs of pixels: words (pair 0, tap 0), (0, 1), (1, 0), (1, 1), (0, 2) ... */
enum { EDGECNN_SMALL_PIXELS = 4 };

/* Taps of a turn of the loop, and bytes of code of one. */
enum { EDGECNN_SMALL_TURN_TAPS = 16, EDGECNN_SMALL_TAP_CODE = 18 };

/* The word of an even tap's first pair; that of the odd tap after it is the next one. */
EDGECNN_SPECIALIZED uint32_t *edgecnn_small_word(uint32_t *columns, int32_t tap) {
    return columns + 2 * tap - (tap & 1);
}

EDGECNN_SPECIALIZED uint32_t edgecnn_small_join(int32_t low, int32_t high) {
    return (uint32_t)low + ((uint32_t)high << 16);
}

#if EDGECNN_THUMB1

/* 16 taps a turn, two at a time, until the end of the weights, which is in memory: weights at r1,
 * columns at r0; sums of s in r12 and lr, high sums in r6 and r7. ASR leaves bit 15, the sign of
 * the low half, in the carry, with which ADCS rounds. */
#define EDGECNN_SMALL_PAIR(all, high)                                                              \
    "ldmia r0!, {r4, r5}\n"                                                                        \
    "muls r4, r2, r4\n"                                                                            \
    "muls r5, r3, r5\n"                                                                            \
    "adds r4, r4, r5\n"                                                                            \
    "add " #all ", r4\n"                                                                           \
    "asrs r4, r4, #16\n"                                                                           \
    "adcs " #high ", r4\n"
#define EDGECNN_SMALL_TURN(end)                                                                    \
    "2:\n"                                                                                         \
    ".irp offset, 0, 2, 4, 6, 8, 10, 12, 14\n"                                                     \
    "ldrh r3, [r1, #\\offset]\n"                                                                   \
    "sxtb r2, r3\n"                                                                                \
    "lsls r3, r3, #16\n"                                                                           \
    "asrs r3, r3, #24\n" EDGECNN_SMALL_PAIR(r12, r6) EDGECNN_SMALL_PAIR(lr, r7) ".endr\n"          \
    "adds r1, #16\n"                                                                               \
    "ldr r3, " end "\n"                                                                            \
    "cmp r1, r3\n"                                                                                 \
    "beq 3f\n"                                                                                     \
    "b 2b\n"                                                                                       \
    "3:\n"

/* The sums of four pixels in r2 to r5. */
#define EDGECNN_SMALL_SPLIT                                                                        \
    "mov r2, r12\n"                                                                                \
    "lsls r3, r6, #16\n"                                                                           \
    "subs r2, r2, r3\n"                                                                            \
    "mov r3, r6\n"                                                                                 \
    "mov r4, lr\n"                                                                                 \
    "lsls r5, r7, #16\n"                                                                           \
    "subs r4, r4, r5\n"                                                                            \
    "mov r5, r7\n"

/* Sums of products of an even number of taps, more than 0, for four pixels. 16 taps a turn; the
 * first turn starts in the middle, 18 bytes of code a tap. */
EDGECNN_ASSEMBLY void edgecnn_small_products(const uint32_t *columns EDGECNN_UNUSED,
                                             const int16_t *weights EDGECNN_UNUSED,
                                             int32_t taps EDGECNN_UNUSED,
                                             int32_t *sums EDGECNN_UNUSED) {
    __asm__ volatile(".syntax unified\n"
                     "mov r12, r2\n"
                     "adds r2, r1, r2\n" /* the weights' end */
                     "push {r2-r7, lr}\n"
                     "mov r4, r12\n"
                     "negs r4, r4\n"
                     "movs r5, #15\n"
                     "ands r4, r5\n" /* taps that the first turn skips */
                     "subs r1, r1, r4\n"
                     "movs r5, #18\n"
                     "muls r5, r4, r5\n"
                     "movs r6, #0\n"
                     "movs r7, #0\n"
                     "mov r12, r6\n"
                     "mov lr, r6\n"
                     "add pc, r5\n"
                     "nop\n"
                     EDGECNN_SMALL_TURN("[sp]") EDGECNN_SMALL_SPLIT
                     "ldr r0, [sp, #4]\n"
                     "stmia r0!, {r2-r5}\n"
                     "add sp, #8\n"
                     "pop {r4-r7, pc}\n");
}

#else

/* Products of two taps with a pair of pixels join both sums. */
EDGECNN_SPECIALIZED void edgecnn_small_taps(const uint32_t *words, int32_t even, int32_t odd,
                                            uint32_t *all, int32_t *high) {
    const uint32_t s = words[0] * (uint32_t)even + words[1] * (uint32_t)odd;
    *all += s;
    *high += (int32_t)(s + 0x8000u) >> 16;
}

/* Sums of products of an even number of taps, more than 0, for four pixels. */
EDGECNN_FUNCTION void edgecnn_small_products(const uint32_t *columns, const int16_t *weights,
                                             int32_t taps, int32_t *sums) {
    uint32_t all0 = 0, all1 = 0;
    int32_t high0 = 0, high1 = 0;
    const int16_t *const end = weights + taps / 2;
#pragma GCC unroll 4
    while (weights != end) {
        const int32_t both = *weights++;
        const int32_t even = (int8_t)(both & 0xFF), odd = both >> 8;
        edgecnn_small_taps(columns, even, odd, &all0, &high0);
        edgecnn_small_taps(columns + 2, even, odd, &all1, &high1);
        columns += 4;
    }
    sums[0] = (int32_t)(all0 - ((uint32_t)high0 << 16));
    sums[1] = high0;
    sums[2] = (int32_t)(all1 - ((uint32_t)high1 << 16));
    sums[3] = high1;
}

#endif

/* --- products of four rows with one column ----------------------------------------------------- */

/* A word of weights is one tap of four rows: halves are row 0 plus 256 times row 1, and row 2 plus
 * 256 times row 3. Products with a half are the sums of both rows at once, from which the even
 * row's, known by itself, is taken off: that is exact while sums are below 2^23. */
enum { EDGECNN_SMALL_ROWS = 4 };

#if EDGECNN_THUMB1

/* One tap: the word in a register that it destroys, the input in r3; sums in r7, r12, lr, r8. */
#define EDGECNN_SMALL_ROWS_TAP(word)                                                               \
    "sxtb r6, " #word "\n"                                                                         \
    "muls r6, r3, r6\n"                                                                            \
    "adds r7, r7, r6\n"                                                                            \
    "sxth r6, " #word "\n"                                                                         \
    "muls r6, r3, r6\n"                                                                            \
    "add r12, r6\n"                                                                                \
    "asrs " #word ", " #word ", #16\n"                                                             \
    "sxtb r6, " #word "\n"                                                                         \
    "muls r6, r3, r6\n"                                                                            \
    "add lr, r6\n"                                                                                 \
    "muls " #word ", r3, " #word "\n"                                                              \
    "add r8, " #word "\n"

/* Sums of products of n fours of inputs, more than 0, with four rows. */
EDGECNN_ASSEMBLY void edgecnn_small_rows(const uint32_t *inputs EDGECNN_UNUSED,
                                         const int32_t *weights EDGECNN_UNUSED,
                                         int32_t n EDGECNN_UNUSED, int32_t *sums EDGECNN_UNUSED) {
    __asm__ volatile(".syntax unified\n"
                     "push {r3-r7, lr}\n"
                     "mov r4, r8\n"
                     "mov r5, r9\n"
                     "push {r4, r5}\n"
                     "lsls r2, r2, #2\n"
                     "adds r2, r0, r2\n"
                     "mov r9, r2\n" /* the inputs' end */
                     "movs r7, #0\n"
                     "mov r12, r7\n"
                     "mov lr, r7\n"
                     "mov r8, r7\n"
                     "1:\n"
                     "ldmia r0!, {r2}\n"
                     "ldmia r1!, {r4, r5}\n"
                     "sxtb r3, r2\n" /* clang-format off */
                     EDGECNN_SMALL_ROWS_TAP(r4) /* clang-format on */
                     "lsls r3, r2, #16\n"
                     "asrs r3, r3, #24\n" /* clang-format off */
                     EDGECNN_SMALL_ROWS_TAP(r5) /* clang-format on */
                     "ldmia r1!, {r4, r5}\n"
                     "lsls r3, r2, #8\n"
                     "asrs r3, r3, #24\n" /* clang-format off */
                     EDGECNN_SMALL_ROWS_TAP(r4) /* clang-format on */
                     "asrs r3, r2, #24\n" /* clang-format off */
                     EDGECNN_SMALL_ROWS_TAP(r5) /* clang-format on */
                     "cmp r0, r9\n"
                     "bne 1b\n"
                     "mov r2, r12\n"
                     "subs r2, r2, r7\n"
                     "asrs r2, r2, #8\n"
                     "mov r3, lr\n"
                     "mov r4, r8\n"
                     "subs r4, r4, r3\n"
                     "asrs r4, r4, #8\n"
                     "ldr r0, [sp, #8]\n"
                     "str r7, [r0]\n"
                     "adds r0, #4\n"
                     "stmia r0!, {r2-r4}\n"
                     "pop {r4, r5}\n"
                     "mov r8, r4\n"
                     "mov r9, r5\n"
                     "add sp, #4\n"
                     "pop {r4-r7, pc}\n");
}

#else

/* Products of a pair of rows with one input. */
EDGECNN_SPECIALIZED void edgecnn_small_row_pair(int32_t both, int32_t x, int32_t *even,
                                                uint32_t *joint) {
    *even += (int8_t)(both & 0xFF) * x;
    *joint += (uint32_t)(both * x);
}

/* Sums of products of n fours of inputs, more than 0, with four rows. */
EDGECNN_FUNCTION void edgecnn_small_rows(const uint32_t *inputs, const int32_t *weights, int32_t n,
                                         int32_t *sums) {
    int32_t even0 = 0, even2 = 0;
    uint32_t joint0 = 0, joint2 = 0;
    const uint32_t *const end = inputs + n;
    do {
        uint32_t four = *inputs++;
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; ++i) {
            const int32_t x = (int8_t)(four & 0xFFu), word = *weights++;
            edgecnn_small_row_pair((int16_t)(word & 0xFFFF), x, &even0, &joint0);
            edgecnn_small_row_pair(word >> 16, x, &even2, &joint2);
            four >>= 8;
        }
    } while (inputs != end);
    sums[0] = even0;
    sums[1] = (int32_t)(joint0 - (uint32_t)even0) >> 8;
    sums[2] = even2;
    sums[3] = (int32_t)(joint2 - (uint32_t)even2) >> 8;
}

#endif

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

/* --- filters with four pixels, requantized ----------------------------------------------------- */

/* All filters of a layer with one block of columns. Steps are in bytes. The assembly knows the
 * places of the members. */
typedef struct {
    const uint32_t *columns;
    const int16_t *weights; /* moves */
    int32_t taps;           /* even, more than 0 */
    int32_t entry;          /* bytes of code that the first turn skips, */
    int32_t skipped;        /* and taps */
    const int32_t *bias;  /* moves */
    const int32_t *scale; /* moves */
    int32_t scale_step;
    int8_t *output; /* moves */
    int32_t output_step;
    int8_t *output_end;
} edgecnn_small_block;

#if EDGECNN_THUMB1

#define EDGECNN_SMALL_FILTERS(sign)                                                                \
    ".syntax unified\n"                                                                            \
    "push {r4-r7, lr}\n"                                                                           \
    "sub sp, #24\n" /* block, end of weights, sums */                                              \
    "str r0, [sp]\n"                                                                               \
    "1:\n"                                                                                         \
    "ldr r7, [sp]\n"                                                                               \
    "ldmia r7!, {r0-r4}\n"                                                                         \
    "adds r2, r1, r2\n"                                                                            \
    "str r2, [sp, #4]\n"                                                                           \
    "subs r1, r1, r4\n"                                                                            \
    "movs r6, #0\n"                                                                                \
    "movs r7, #0\n"                                                                                \
    "mov r12, r6\n"                                                                                \
    "mov lr, r6\n"                                                                                 \
    "add pc, r3\n"                                                                                 \
    "nop\n" EDGECNN_SMALL_TURN("[sp, #4]") EDGECNN_SMALL_SPLIT /* sums in r2 to r5 */              \
    "add r0, sp, #8\n"                                                                             \
    "stmia r0!, {r2-r5}\n"                                                                         \
    "ldr r7, [sp]\n"                                                                               \
    "ldr r3, [r7, #4]\n"                                                                           \
    "ldr r4, [r7, #8]\n"                                                                           \
    "adds r3, r3, r4\n"                                                                            \
    "str r3, [r7, #4]\n" /* weights */                                                             \
    "ldr r4, [r7, #20]\n"                                                                          \
    "ldmia r4!, {r5}\n"                                                                            \
    "mov r12, r5\n"                                                                                \
    "str r4, [r7, #20]\n" /* bias */                                                               \
    "ldr r2, [r7, #24]\n"                                                                          \
    "ldr r4, [r7, #28]\n"                                                                          \
    "adds r4, r2, r4\n"                                                                            \
    "str r4, [r7, #24]\n" /* scale */                                                              \
    "ldr r0, [r7, #32]\n"                                                                          \
    "adds r4, r0, #1\n"                                                                            \
    "str r4, [r7, #32]\n" /* output */                                                             \
    "ldr r1, [r7, #36]\n"                                                                          \
    "ldr r4, [r2]\n"                                                                               \
    "mov lr, r4\n"                                                                                 \
    "ldr r3, [r2, #4]\n"                                                                           \
    ".irp sum, 8, 12, 16, 20\n"                                                                    \
    "ldr r4, [sp, #\\sum]\n" EDGECNN_SMALL_REQUANTIZE(sign)                                        \
    "strb r5, [r0]\n"                                                                              \
    "adds r0, r0, r1\n"                                                                            \
    ".endr\n"                                                                                      \
    "ldr r0, [r7, #32]\n"                                                                          \
    "ldr r1, [r7, #40]\n"                                                                          \
    "cmp r0, r1\n"                                                                                 \
    "beq 5f\n"                                                                                     \
    "b 1b\n"                                                                                       \
    "5:\n"                                                                                         \
    "add sp, #24\n"                                                                                \
    "pop {r4-r7, pc}\n"

/* All filters of a block, for the zero point -128, and for any. */
EDGECNN_ASSEMBLY void edgecnn_small_filters_no_sign(edgecnn_small_block *block EDGECNN_UNUSED) {
    __asm__ volatile(EDGECNN_SMALL_FILTERS(EDGECNN_SMALL_NO_SIGN));
}
EDGECNN_ASSEMBLY void edgecnn_small_filters_sign(edgecnn_small_block *block EDGECNN_UNUSED) {
    __asm__ volatile(EDGECNN_SMALL_FILTERS(EDGECNN_SMALL_SIGN));
}

#endif

/* All filters of a block. */
EDGECNN_SPECIALIZED void edgecnn_small_filters(edgecnn_small_block *b, edgecnn_small_range range) {
#if EDGECNN_THUMB1
    if (edgecnn_small_is_plain(range)) {
        if (range.has_sign) {
            edgecnn_small_filters_sign(b);
        } else {
            edgecnn_small_filters_no_sign(b);
        }
        return;
    }
#endif
    for (; b->output != b->output_end; ++b->output) {
        int32_t sums[EDGECNN_SMALL_PIXELS];
        edgecnn_small_products(b->columns, b->weights, b->taps, sums);
        const int32_t bias = *b->bias++;
        int8_t *output = b->output;
        for (int32_t i = 0; i < EDGECNN_SMALL_PIXELS; ++i) {
            *output = edgecnn_small_requantize(sums[i] + bias, b->scale, range);
            output += b->output_step;
        }
        b->weights += b->taps / 2;
        b->scale += b->scale_step / 4;
    }
}

/* --- 3 x 3 windows over a plane ---------------------------------------------------------------- */

/* A plane of one channel: words of two pixels, column after column, so that three pixels under
 * each other follow in memory. Its windows give two images, the upper and the lower output. Steps
 * are in bytes. The assembly knows the places of the members. */
typedef struct {
    int32_t weights[9];     /* column after column */
    const uint32_t *column; /* the first window's; moves */
    int32_t column_step;    /* from a window to the one at its right */
    int32_t column_bytes;   /* of a column less three words */
    int32_t row_step;       /* from behind a window to the one under it */
    int32_t *sums;          /* room for two sums a row of windows */
    int32_t *sums_end;
    const int32_t *scale;
    int32_t bias;
    int8_t *output; /* moves */
    int32_t output_step;
    int32_t output_row;
    int32_t lower; /* from the upper output to the lower one */
    int8_t *output_end;
} edgecnn_small_plane;

#if EDGECNN_THUMB1

/* Two or one products of a column; sums of s in r6, high sums in r5. */
#define EDGECNN_SMALL_ADD(s)                                                                       \
    "adds r6, r6, " #s "\n"                                                                        \
    "asrs " #s ", " #s ", #16\n"                                                                   \
    "adcs r5, " #s "\n"
#define EDGECNN_SMALL_COLUMN(w0, w1, w2)                                                           \
    "ldmia r0!, {r1, r2, r3}\n" w0 "muls r1, r4, r1\n" w1 "muls r2, r4, r2\n"                      \
    "adds r1, r1, r2\n" EDGECNN_SMALL_ADD(r1) w2 "muls r3, r4, r3\n" EDGECNN_SMALL_ADD(r3)

#define EDGECNN_SMALL_WINDOWS(sign)                                                                \
    ".syntax unified\n"                                                                            \
    "push {r4-r7, lr}\n"                                                                           \
    "mov r4, r8\n"                                                                                 \
    "mov r5, r9\n"                                                                                 \
    "mov r6, r10\n"                                                                                \
    "mov r7, r11\n"                                                                                \
    "push {r4-r7}\n"                                                                               \
    "sub sp, #40\n"                                                                                \
    "str r0, [sp]\n"                                                                               \
    "add r6, sp, #4\n" /* weights 2 to 8 */                                                        \
    "ldmia r0!, {r1, r2}\n"                                                                        \
    "mov r10, r1\n"                                                                                \
    "mov r11, r2\n"                                                                                \
    "ldmia r0!, {r1-r4}\n"                                                                         \
    "stmia r6!, {r1-r4}\n"                                                                         \
    "ldmia r0!, {r1-r3}\n"                                                                         \
    "stmia r6!, {r1-r3}\n"                                                                         \
    "ldr r1, [r0, #20]\n" /* from here on r0 is behind the weights */                              \
    "str r1, [sp, #32]\n" /* sums_end */                                                           \
    "ldr r1, [r0, #40]\n"                                                                          \
    "str r1, [sp, #36]\n" /* output_row */                                                         \
    "ldr r1, [r0, #8]\n"                                                                           \
    "mov r8, r1\n"                                                                                 \
    "ldr r1, [r0, #12]\n"                                                                          \
    "mov r9, r1\n"                                                                                 \
    "ldr r1, [r0, #28]\n"                                                                          \
    "mov r12, r1\n"                                                                                \
    "ldr r1, [r0, #24]\n"                                                                          \
    "ldr r1, [r1]\n"                                                                               \
    "mov lr, r1\n"                                                                                 \
    "1:\n"                                                                                         \
    "ldr r1, [sp]\n"                                                                               \
    "ldr r7, [r1, #52]\n"                                                                          \
    "ldr r0, [r1, #36]\n"                                                                          \
    "ldr r2, [r1, #40]\n"                                                                          \
    "adds r2, r0, r2\n"                                                                            \
    "str r2, [r1, #36]\n"                                                                          \
    "2:\n"                                                                                         \
    "movs r5, #0\n"                                                                                \
    "movs r6, #0\n" EDGECNN_SMALL_COLUMN("mov r4, r10\n", "mov r4, r11\n", "ldr r4, [sp, #4]\n")   \
    "add r0, r8\n" EDGECNN_SMALL_COLUMN("ldr r4, [sp, #8]\n", "ldr r4, [sp, #12]\n",               \
                                        "ldr r4, [sp, #16]\n")                                     \
    "add r0, r8\n" EDGECNN_SMALL_COLUMN("ldr r4, [sp, #20]\n", "ldr r4, [sp, #24]\n",              \
                                        "ldr r4, [sp, #28]\n")                                     \
    "add r0, r9\n"                                                                                 \
    "lsls r4, r5, #16\n"                                                                           \
    "subs r6, r6, r4\n"                                                                            \
    "stmia r7!, {r5, r6}\n"                                                                        \
    "ldr r4, [sp, #32]\n"                                                                          \
    "cmp r7, r4\n"                                                                                 \
    "bne 2b\n"                                                                                     \
    "ldr r4, [sp]\n"                                                                               \
    "ldr r7, [r4, #52]\n"                                                                          \
    "ldr r2, [r4, #60]\n"                                                                          \
    "ldr r3, [r2, #4]\n"                                                                           \
    "ldr r0, [r4, #68]\n"                                                                          \
    "ldr r1, [r4, #80]\n"                                                                          \
    "3:\n"                                                                                         \
    "ldr r4, [r7, #4]\n" EDGECNN_SMALL_REQUANTIZE(sign) "strb r5, [r0]\n"                          \
    "ldr r4, [r7]\n" EDGECNN_SMALL_REQUANTIZE(sign) "strb r5, [r0, r1]\n"                          \
    "ldr r4, [sp, #36]\n"                                                                          \
    "adds r0, r0, r4\n"                                                                            \
    "adds r7, #8\n"                                                                                \
    "ldr r4, [sp, #32]\n"                                                                          \
    "cmp r7, r4\n"                                                                                 \
    "bne 3b\n"                                                                                     \
    "ldr r4, [sp]\n"                                                                               \
    "ldr r0, [r4, #68]\n"                                                                          \
    "ldr r1, [r4, #72]\n"                                                                          \
    "adds r0, r0, r1\n"                                                                            \
    "str r0, [r4, #68]\n"                                                                          \
    "adds r4, #64\n"                                                                               \
    "ldr r1, [r4, #20]\n"                                                                          \
    "cmp r0, r1\n"                                                                                 \
    "beq 4f\n"                                                                                     \
    "b 1b\n"                                                                                       \
    "4:\n"                                                                                         \
    "add sp, #40\n"                                                                                \
    "pop {r4-r7}\n"                                                                                \
    "mov r8, r4\n"                                                                                 \
    "mov r9, r5\n"                                                                                 \
    "mov r10, r6\n"                                                                                \
    "mov r11, r7\n"                                                                                \
    "pop {r4-r7, pc}\n"

/* All windows of a plane, for the zero point -128, and for any. */
EDGECNN_ASSEMBLY void edgecnn_small_windows_no_sign(edgecnn_small_plane *plane EDGECNN_UNUSED) {
    __asm__ volatile(EDGECNN_SMALL_WINDOWS(EDGECNN_SMALL_NO_SIGN));
}
EDGECNN_ASSEMBLY void edgecnn_small_windows_sign(edgecnn_small_plane *plane EDGECNN_UNUSED) {
    __asm__ volatile(EDGECNN_SMALL_WINDOWS(EDGECNN_SMALL_SIGN));
}

#endif

/* The sums under one window. */
EDGECNN_SPECIALIZED void edgecnn_small_window(const uint32_t *at, const edgecnn_small_plane *p,
                                              int32_t *sums) {
    const int32_t column = p->column_bytes / 4 + 3;
    uint32_t all = 0;
    int32_t high = 0;
#pragma GCC unroll 3
    for (int32_t x = 0; x < 3; ++x) {
        const uint32_t *const from = at + x * column;
        const int32_t *const w = p->weights + 3 * x;
        const uint32_t s = from[0] * (uint32_t)w[0] + from[1] * (uint32_t)w[1];
        const uint32_t t = from[2] * (uint32_t)w[2];
        all += s + t;
        high += ((int32_t)(s + 0x8000u) >> 16) + ((int32_t)(t + 0x8000u) >> 16);
    }
    sums[0] = high;
    sums[1] = (int32_t)(all - ((uint32_t)high << 16));
}

/* All windows of a plane. */
EDGECNN_SPECIALIZED void edgecnn_small_windows(edgecnn_small_plane *p, edgecnn_small_range range) {
#if EDGECNN_THUMB1
    if (edgecnn_small_is_plain(range)) {
        if (range.has_sign) {
            edgecnn_small_windows_sign(p);
        } else {
            edgecnn_small_windows_no_sign(p);
        }
        return;
    }
#endif
    const int32_t below = p->row_step / 4 + 2 * (p->column_bytes / 4 + 3) + 3;
    for (; p->output != p->output_end; p->output += p->output_step) {
        const uint32_t *at = p->column;
        int8_t *output = p->output;
        for (int32_t *sums = p->sums; sums != p->sums_end; sums += 2) {
            edgecnn_small_window(at, p, sums);
            *output = edgecnn_small_requantize(sums[1] + p->bias, p->scale, range);
            output[p->lower] = edgecnn_small_requantize(sums[0] + p->bias, p->scale, range);
            output += p->output_row;
            at += below;
        }
        p->column += p->column_step / 4;
    }
}

#endif
