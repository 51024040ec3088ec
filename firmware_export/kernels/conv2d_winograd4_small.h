/* 3x3 convolution by Winograd's F(4x4, 3x3) for cores without DSP instructions: transforms as in
 * edgecnn_conv2d_winograd4.h, products of two filters with two tiles. */
#ifndef EDGECNN_CONV2D_WINOGRAD4_SMALL_H
#define EDGECNN_CONV2D_WINOGRAD4_SMALL_H

#include "edgecnn_conv2d_winograd4.h"
#include "edgecnn_small.h"

typedef struct {
    const int32_t *weights; /* [filters / 2][36][pairs of channels][2], pairs of int16 */
    const int32_t *bias;    /* [filters, filled up to twos] */
    const int32_t *scales;  /* [filters, or 1][...]: see edgecnn_small.h */
    const int32_t *corners; /* [filters][4]: added to outputs (2, 2), (2, 3), (3, 2), (3, 3) with
                             * 2^6 in front */
} edgecnn_conv2d_winograd4_small_params;

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t pieces; /* of multipliers */
    int32_t per_channel;
} edgecnn_conv2d_winograd4_small_shape;

/* Sums of a position: two filters, each with two tiles. */
enum { EDGECNN_WINOGRAD_SMALL_FILTERS = 2, EDGECNN_WINOGRAD_SMALL_SUMS = 4 };

/* --- products --------------------------------------------------------------------------------- */

#if EDGECNN_THUMB1

/* Two channels: inputs at r0, weights at r1; sums in r12, lr (first filter), r8, r9. */
#define EDGECNN_WINOGRAD_SMALL_PAIR                                                                \
    "ldmia r0!, {r2, r3}\n"                                                                        \
    "ldmia r1!, {r4, r5}\n"                                                                        \
    "sxth r6, r4\n"                                                                                \
    "sxth r7, r2\n"                                                                                \
    "muls r7, r6, r7\n"                                                                            \
    "add r12, r7\n"                                                                                \
    "sxth r7, r3\n"                                                                                \
    "muls r6, r7, r6\n"                                                                            \
    "add lr, r6\n"                                                                                 \
    "sxth r6, r5\n"                                                                                \
    "muls r7, r6, r7\n"                                                                            \
    "add r9, r7\n"                                                                                 \
    "sxth r7, r2\n"                                                                                \
    "muls r6, r7, r6\n"                                                                            \
    "add r8, r6\n"                                                                                 \
    "asrs r2, r2, #16\n"                                                                           \
    "asrs r3, r3, #16\n"                                                                           \
    "asrs r4, r4, #16\n"                                                                           \
    "asrs r5, r5, #16\n"                                                                           \
    "mov r6, r4\n"                                                                                 \
    "muls r6, r2, r6\n"                                                                            \
    "add r12, r6\n"                                                                                \
    "muls r4, r3, r4\n"                                                                            \
    "add lr, r4\n"                                                                                 \
    "muls r2, r5, r2\n"                                                                            \
    "add r8, r2\n"                                                                                 \
    "muls r5, r3, r5\n"                                                                            \
    "add r9, r5\n"

/* Sums of all positions, [36][2 filters][2 tiles], over an even number of pairs, more than 0. */
EDGECNN_ASSEMBLY void edgecnn_winograd_small_products(const int8_t *v EDGECNN_UNUSED,
                                                      const int32_t *u EDGECNN_UNUSED,
                                                      int32_t pairs EDGECNN_UNUSED,
                                                      int8_t *sums EDGECNN_UNUSED) {
    __asm__ volatile(".syntax unified\n"
                     "push {r4-r7, lr}\n"
                     "mov r4, r8\n"
                     "mov r5, r9\n"
                     "mov r6, r10\n"
                     "mov r7, r11\n"
                     "push {r4-r7}\n"
                     "lsls r2, r2, #3\n" /* bytes of weights of a position */
                     "movs r4, #144\n"
                     "lsls r4, r4, #2\n"
                     "adds r4, r3, r4\n" /* the sums' end */
                     "push {r2, r4}\n"
                     "mov r10, r1\n"
                     "mov r11, r3\n"
                     "1:\n"
                     "movs r7, #0\n"
                     "mov r12, r7\n"
                     "mov lr, r7\n"
                     "mov r8, r7\n"
                     "mov r9, r7\n"
                     "ldr r7, [sp]\n"
                     "add r10, r7\n"
                     "2:\n" /* clang-format off */
                     EDGECNN_WINOGRAD_SMALL_PAIR EDGECNN_WINOGRAD_SMALL_PAIR
                     "cmp r1, r10\n" /* clang-format on */
                     "bne 2b\n"
                     "mov r6, r11\n"
                     "mov r2, r12\n"
                     "mov r3, lr\n"
                     "mov r4, r8\n"
                     "mov r5, r9\n"
                     "stmia r6!, {r2-r5}\n"
                     "mov r11, r6\n"
                     "ldr r7, [sp, #4]\n"
                     "cmp r6, r7\n"
                     "bne 1b\n"
                     "add sp, #8\n"
                     "pop {r4-r7}\n"
                     "mov r8, r4\n"
                     "mov r9, r5\n"
                     "mov r10, r6\n"
                     "mov r11, r7\n"
                     "pop {r4-r7, pc}\n");
}

#else

EDGECNN_SPECIALIZED uint32_t edgecnn_winograd_small_dot(uint32_t a, uint32_t b, uint32_t sum) {
    return sum + (uint32_t)(edgecnn_low(a) * edgecnn_low(b)) +
           (uint32_t)(edgecnn_high(a) * edgecnn_high(b));
}

/* Sums of all positions, [36][2 filters][2 tiles], over an even number of pairs, more than 0. */
EDGECNN_FUNCTION void edgecnn_winograd_small_products(const int8_t *v, const int32_t *u,
                                                      int32_t pairs, int8_t *sums) {
    for (int32_t position = 0; position < EDGECNN_WINOGRAD4_POSITIONS; ++position) {
        uint32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0;
        for (int32_t i = pairs; i > 0; --i) {
            const uint32_t v0 = edgecnn_winograd_load(v), v1 = edgecnn_winograd_load(v + 4);
            const uint32_t a = (uint32_t)u[0], b = (uint32_t)u[1];
            a0 = edgecnn_winograd_small_dot(a, v0, a0);
            a1 = edgecnn_winograd_small_dot(a, v1, a1);
            b0 = edgecnn_winograd_small_dot(b, v0, b0);
            b1 = edgecnn_winograd_small_dot(b, v1, b1);
            v += EDGECNN_TILE_STEP;
            u += EDGECNN_WINOGRAD_SMALL_FILTERS;
        }
        edgecnn_winograd_store(sums, a0);
        edgecnn_winograd_store(sums + 4, a1);
        edgecnn_winograd_store(sums + 8, b0);
        edgecnn_winograd_store(sums + 12, b1);
        sums += 4 * EDGECNN_WINOGRAD_SMALL_SUMS;
    }
}

#endif

/* --- output ----------------------------------------------------------------------------------- */

/* A row of outputs of one filter; see edgecnn_winograd4_finish. corner is for the last two. */
EDGECNN_SPECIALIZED void edgecnn_winograd_small_row(const edgecnn_conv2d_winograd4_small_shape *s,
                                                    const int8_t *sums, int32_t bias,
                                                    const int32_t *scale, const int32_t *corner,
                                                    int32_t columns, int8_t *output) {
    uint32_t m[6], y[4];
#pragma GCC unroll 6
    for (int32_t i = 0; i < 6; ++i) {
        m[i] = edgecnn_winograd_load(sums + i * 4 * EDGECNN_WINOGRAD_SMALL_SUMS);
    }
    edgecnn_winograd4_backward(m, y);
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
        y[i] *= 954437177u;
    }
    if (corner != NULL) {
        y[2] += (uint32_t)corner[0];
        y[3] += (uint32_t)corner[1];
    }
    const edgecnn_small_range range = {s->pieces, s->output_zero_point != -128, s->activation_min,
                                       s->activation_max};
#pragma GCC unroll 1
    for (int32_t i = 0; i < columns; ++i) {
        *output = edgecnn_small_requantize(bias + ((int32_t)y[i] >> 6), scale, range);
        output += s->output_channels;
    }
}

/* n filters of two tiles; the second one may be missing. */
EDGECNN_SPECIALIZED void edgecnn_winograd_small_outputs(
    const edgecnn_conv2d_winograd4_small_shape *s, const edgecnn_conv2d_winograd4_small_params *p,
    int8_t *sums, int32_t filter, int32_t tile, int32_t n, int8_t *output) {
    const int32_t across = (s->output_width + 3) / 4;
    const int32_t count = across * ((s->output_height + 3) / 4);
    edgecnn_winograd4_sum_columns(sums, 6 * 4 * EDGECNN_WINOGRAD_SMALL_SUMS);
    for (int32_t i = 0; i < 2 && tile < count; ++i, ++tile) {
        const int32_t y = tile / across * 4, x = tile % across * 4;
        const int32_t rows = edgecnn_winograd4_outputs(y, s->output_height);
        const int32_t columns = edgecnn_winograd4_outputs(x, s->output_width);
        int8_t *const to = output + (y * s->output_width + x) * s->output_channels;
#pragma GCC unroll 1
        for (int32_t j = 0; j < n; ++j) {
            const int32_t c = filter + j;
            const int32_t *scale =
                p->scales + s->per_channel * c * edgecnn_small_words(s->pieces);
#pragma GCC unroll 1
            for (int32_t row = 0; row < rows; ++row) {
                const int32_t *corner = row < 2 ? NULL : p->corners + 4 * c + 2 * (row - 2);
                edgecnn_winograd_small_row(
                    s, sums + 4 * (2 * j + i) + row * 6 * 4 * EDGECNN_WINOGRAD_SMALL_SUMS,
                    p->bias[c], scale, corner, columns,
                    to + row * s->output_width * s->output_channels + c);
            }
        }
    }
}

/* --- layer ------------------------------------------------------------------------------------ */

/* scratch: [positions][pairs of channels][2 tiles], then [positions][2 filters][2 tiles] of sums,
 * whose place is that of tiles on their way before. */
EDGECNN_SPECIALIZED void
edgecnn_conv2d_winograd4_small(const edgecnn_conv2d_winograd4_small_shape *s,
                               const edgecnn_conv2d_winograd4_small_params *p,
                               const int8_t *input, int8_t *scratch, int8_t *output) {
    const edgecnn_winograd_shape image = {.input_height = s->input_height,
                                          .input_width = s->input_width,
                                          .input_channels = s->input_channels,
                                          .input_zero_point = s->input_zero_point};
    const int32_t pairs = (s->input_channels + 3) / 4 * 2;
    const int32_t across = (s->output_width + 3) / 4;
    const int32_t count = across * ((s->output_height + 3) / 4);
    int8_t *const sums = scratch + EDGECNN_WINOGRAD4_POSITIONS * pairs * EDGECNN_TILE_STEP;
#pragma GCC unroll 1
    for (int32_t tile = 0; tile < count; tile += 2) {
        for (int32_t i = 0; i < 2 && tile + i < count; ++i) {
            const int32_t top = (tile + i) / across * 4, left = (tile + i) % across * 4;
            edgecnn_winograd4_tile(&image, input, top - s->pad_top, left - s->pad_left, sums,
                                   scratch + 4 * i);
        }
        const int32_t *weights = p->weights;
#pragma GCC unroll 1
        for (int32_t c = 0; c < s->output_channels; c += EDGECNN_WINOGRAD_SMALL_FILTERS) {
            const int32_t n =
                edgecnn_clamp(s->output_channels - c, 0, EDGECNN_WINOGRAD_SMALL_FILTERS);
            edgecnn_winograd_small_products(scratch, weights, pairs, sums);
            edgecnn_winograd_small_outputs(s, p, sums, c, tile, n, output);
            weights += EDGECNN_WINOGRAD4_POSITIONS * pairs * EDGECNN_WINOGRAD_SMALL_FILTERS;
        }
    }
}

#endif
