/* 3x3 convolution by Winograd's F(4, 3) along rows, as edgecnn_conv2d_winograd_rows.h, one tile at a
 * time: half of the working memory, and a load of a weight for each product instead of for two. */
#ifndef EDGECNN_CONV2D_WINOGRAD_TILE_H
#define EDGECNN_CONV2D_WINOGRAD_TILE_H

#include "edgecnn_conv2d_winograd_rows.h"

typedef edgecnn_winograd_shape edgecnn_conv2d_winograd_tile_shape;
typedef edgecnn_conv2d_winograd_rows_params edgecnn_conv2d_winograd_tile_params;

#if EDGECNN_HAS_DSP && defined(__OPTIMIZE__)

/* The next pairs of channels, a number that is known; sums, of four filters, wrap around. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_winograd_tile_pairs(const int8_t **u, const int8_t *v,
                                                              int32_t pairs, int32_t sums[4]) {
    uint32_t x, a, b, c, d;
    __asm__ volatile(
        ".rept %c[pairs]\n\t"
        "ldr %[x], [%[v]], #4\n\t"
        "ldr %[a], [%[u]], #4\n\t"
        "ldr %[b], [%[u]], #4\n\t"
        "ldr %[c], [%[u]], #4\n\t"
        "ldr %[d], [%[u]], #4\n\t"
        "smlad %[s0], %[a], %[x], %[s0]\n\t"
        "smlad %[s1], %[b], %[x], %[s1]\n\t"
        "smlad %[s2], %[c], %[x], %[s2]\n\t"
        "smlad %[s3], %[d], %[x], %[s3]\n\t"
        ".endr"
        : [u] "+&r"(*u), [v] "+&r"(v), [x] "=&r"(x), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c),
          [d] "=&r"(d), [s0] "+&r"(sums[0]), [s1] "+&r"(sums[1]), [s2] "+&r"(sums[2]),
          [s3] "+&r"(sums[3])
        : [pairs] "i"(pairs)
        : "memory");
    return v;
}

#else

EDGECNN_SPECIALIZED const int8_t *edgecnn_winograd_tile_pairs(const int8_t **u, const int8_t *v,
                                                              int32_t pairs, int32_t sums[4]) {
    for (int32_t i = 0; i < pairs; ++i) {
        for (int32_t j = 0; j < 4; ++j) {
            sums[j] = edgecnn_smlad(edgecnn_winograd_load(*u), edgecnn_winograd_load(v), sums[j]);
            *u += 4;
        }
        v += 4;
    }
    return v;
}

#endif

/* Sums of all positions, [6][4 filters], in steps of so many pairs. */
EDGECNN_SPECIALIZED void edgecnn_winograd_tile_sums(const int8_t *u, const int8_t *v, int32_t pairs,
                                                    int32_t step, int8_t *sums) {
    const int8_t *const end = sums + EDGECNN_WINOGRAD_ROWS_SIDE * 4 * EDGECNN_FILTERS;
#pragma GCC unroll 1
    for (; sums != end; sums += 4 * EDGECNN_FILTERS) {
        const int8_t *const behind = v + 4 * pairs;
        int32_t s[EDGECNN_FILTERS] = {0, 0, 0, 0};
        do {
            v = edgecnn_winograd_tile_pairs(&u, v, step, s);
        } while (v != behind);
#pragma GCC unroll 4
        for (int32_t i = 0; i < EDGECNN_FILTERS; ++i) {
            edgecnn_winograd_store(sums + 4 * i, (uint32_t)s[i]);
        }
    }
}
EDGECNN_FUNCTION void edgecnn_winograd_tile_sums_6(const int8_t *u, const int8_t *v, int32_t pairs,
                                                   int8_t *sums) {
    edgecnn_winograd_tile_sums(u, v, pairs, 6, sums);
}
EDGECNN_FUNCTION void edgecnn_winograd_tile_sums_12(const int8_t *u, const int8_t *v, int32_t pairs,
                                                    int8_t *sums) {
    edgecnn_winograd_tile_sums(u, v, pairs, 12, sums);
}

EDGECNN_SPECIALIZED void edgecnn_winograd_tile_products(const int8_t *u, const int8_t *v,
                                                        int32_t pairs, int8_t *sums) {
    if (pairs % 12 == 0) {
        edgecnn_winograd_tile_sums_12(u, v, pairs, sums);
    } else {
        edgecnn_winograd_tile_sums_6(u, v, pairs, sums);
    }
}

EDGECNN_SPECIALIZED void edgecnn_conv2d_winograd_tile(const edgecnn_winograd_shape *s,
                                                      const edgecnn_conv2d_winograd_rows_params *p,
                                                      const int8_t *input, int8_t *scratch,
                                                      int8_t *output) {
    edgecnn_winograd_rows_layer(s, p, 1, edgecnn_winograd_tile_products, input, scratch, output);
}

#endif
