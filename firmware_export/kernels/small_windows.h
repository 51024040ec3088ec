/* 3 x 3 depthwise convolution on cores without DSP instructions: windows over a plane. */
#ifndef EDGECNN_SMALL_WINDOWS_H
#define EDGECNN_SMALL_WINDOWS_H

#include "edgecnn_small.h"

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
