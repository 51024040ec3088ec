/* Convolution on cores without DSP instructions: filters with four pixels at a time. */
#ifndef EDGECNN_SMALL_PIXELS_H
#define EDGECNN_SMALL_PIXELS_H

#include "edgecnn_small.h"

/* --- products of a filter with four pixels ----------------------------------------------------- */

/* Columns of two pairs of pixels: words (pair 0, tap 0), (0, 1), (1, 0), (1, 1), (0, 2) ... */
enum { EDGECNN_SMALL_PIXELS = 4 };

/* Taps of a turn of the loop, and bytes of code of one. */
enum { EDGECNN_SMALL_TURN_TAPS = 16, EDGECNN_SMALL_TAP_CODE = 18 };

/* The word of an even tap's first pair; that of the odd tap after it is the next one. */
EDGECNN_SPECIALIZED uint32_t *edgecnn_small_word(uint32_t *columns, int32_t tap) {
    return columns + 2 * tap - (tap & 1);
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

#endif
