/* A border of up to four axes that mirrors what is inside. */
#ifndef EDGECNN_MIRROR_PAD_H
#define EDGECNN_MIRROR_PAD_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t shape[4]; /* of the output */
    int32_t begin[4]; /* where the input begins in the output */
    int32_t size[4], stride[4]; /* of the input */
    int32_t edge;     /* 1 where the edge itself is mirrored, 0 where not */
} edgecnn_mirror_pad_params;

/* Offset in the input of an index of the output along an axis. */
EDGECNN_INLINE int32_t edgecnn_mirror_pad_offset(const edgecnn_mirror_pad_params *p, int32_t axis,
                                                 int32_t index) {
    const int32_t last = p->size[axis] - 1;
    int32_t at = index - p->begin[axis];
    if (at < 0) {
        at = -at - p->edge;
    } else if (at > last) {
        at = 2 * last - at + p->edge;
    }
    return at * p->stride[axis];
}

EDGECNN_FUNCTION void edgecnn_mirror_pad(const edgecnn_mirror_pad_params *p, const int8_t *input,
                                         int8_t *output) {
    for (int32_t i = 0; i < p->shape[0]; ++i) {
        const int8_t *image = input + edgecnn_mirror_pad_offset(p, 0, i);
        for (int32_t j = 0; j < p->shape[1]; ++j) {
            const int8_t *row = image + edgecnn_mirror_pad_offset(p, 1, j);
            for (int32_t k = 0; k < p->shape[2]; ++k) {
                const int8_t *pixel = row + edgecnn_mirror_pad_offset(p, 2, k);
                for (int32_t n = 0; n < p->shape[3]; ++n) {
                    *output++ = pixel[edgecnn_mirror_pad_offset(p, 3, n)];
                }
            }
        }
    }
}

#endif
