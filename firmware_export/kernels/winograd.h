/* Products of Winograd's algorithms for 3x3 convolutions: for every position of the transformed
 * tiles, four filters with two tiles, two channels at once. */
#ifndef EDGECNN_WINOGRAD_H
#define EDGECNN_WINOGRAD_H

#include "edgecnn_dsp.h"

/* Sums of a position: four filters, each with two tiles; and bytes of a pair of channels of two
 * tiles. */
enum { EDGECNN_FILTERS = 4, EDGECNN_SUMS = 8, EDGECNN_TILE_STEP = 8, EDGECNN_UNROLLED = 8 };

typedef struct {
    const int32_t *weights; /* [filters / 4][positions][pairs of channels][4], pairs of int16 */
    const int32_t *channels; /* a line for each filter, filled up to fours */
} edgecnn_winograd_params;

/* Of four filters, a to d, with two tiles. */
typedef struct {
    int32_t a0, a1, b0, b1, c0, c1, d0, d1;
} edgecnn_winograd_sums;

/* The next pair of channels; sums wrap around. */
EDGECNN_SPECIALIZED void edgecnn_winograd_pair(const int8_t **u, const int8_t **v,
                                               edgecnn_winograd_sums *s) {
    uint32_t v0, v1, even, odd;
    edgecnn_load_next_of_two(v, &v0, &v1, u, &even, &odd);
    s->a0 = edgecnn_smlad(even, v0, s->a0);
    s->a1 = edgecnn_smlad(even, v1, s->a1);
    s->b0 = edgecnn_smlad(odd, v0, s->b0);
    s->b1 = edgecnn_smlad(odd, v1, s->b1);
    edgecnn_load_next(u, &even, &odd);
    s->c0 = edgecnn_smlad(even, v0, s->c0);
    s->c1 = edgecnn_smlad(even, v1, s->c1);
    s->d0 = edgecnn_smlad(odd, v0, s->d0);
    s->d1 = edgecnn_smlad(odd, v1, s->d1);
}

EDGECNN_SPECIALIZED edgecnn_winograd_sums edgecnn_winograd_first_pair(const int8_t **u,
                                                                      const int8_t **v) {
    edgecnn_winograd_sums s;
    uint32_t v0, v1, even, odd;
    edgecnn_load_next_of_two(v, &v0, &v1, u, &even, &odd);
    s.a0 = edgecnn_smuad(even, v0);
    s.a1 = edgecnn_smuad(even, v1);
    s.b0 = edgecnn_smuad(odd, v0);
    s.b1 = edgecnn_smuad(odd, v1);
    edgecnn_load_next(u, &even, &odd);
    s.c0 = edgecnn_smuad(even, v0);
    s.c1 = edgecnn_smuad(even, v1);
    s.d0 = edgecnn_smuad(odd, v0);
    s.d1 = edgecnn_smuad(odd, v1);
    return s;
}

EDGECNN_SPECIALIZED void edgecnn_winograd_store(const edgecnn_winograd_sums *s, int8_t *to) {
    edgecnn_store(to, (uint32_t)s->a0);
    edgecnn_store(to + 4, (uint32_t)s->a1);
    edgecnn_store(to + 8, (uint32_t)s->b0);
    edgecnn_store(to + 12, (uint32_t)s->b1);
    edgecnn_store(to + 16, (uint32_t)s->c0);
    edgecnn_store(to + 20, (uint32_t)s->c1);
    edgecnn_store(to + 24, (uint32_t)s->d0);
    edgecnn_store(to + 28, (uint32_t)s->d1);
}

/* Sums of all positions: [positions][4 filters][2 tiles]. */
EDGECNN_SPECIALIZED void edgecnn_winograd_products(const int8_t *u, const int8_t *v,
                                                   int32_t positions, int32_t pairs,
                                                   int8_t *sums) {
    int8_t *const end = sums + positions * 4 * EDGECNN_SUMS;
    for (; sums != end; sums += 4 * EDGECNN_SUMS) {
        edgecnn_winograd_sums s;
        if (pairs <= EDGECNN_UNROLLED) {
            s = edgecnn_winograd_first_pair(&u, &v);
#pragma GCC unroll 8
            for (int32_t i = 1; i < pairs; ++i) {
                edgecnn_winograd_pair(&u, &v, &s);
            }
        } else {
            s = (edgecnn_winograd_sums){0, 0, 0, 0, 0, 0, 0, 0};
            const int8_t *const v_end = v + pairs * EDGECNN_TILE_STEP;
#pragma GCC unroll 8
            while (v != v_end) {
                edgecnn_winograd_pair(&u, &v, &s);
            }
        }
        edgecnn_winograd_store(&s, sums);
    }
}

#endif
