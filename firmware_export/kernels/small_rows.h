/* Fully connected layers on cores without DSP instructions: four rows at a time. */
#ifndef EDGECNN_SMALL_ROWS_H
#define EDGECNN_SMALL_ROWS_H

#include "edgecnn_small.h"

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

#endif
