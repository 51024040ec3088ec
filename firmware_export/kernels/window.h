/* The part of a pooling window that lies inside the image. */
#ifndef EDGECNN_WINDOW_H
#define EDGECNN_WINDOW_H

#include "edgecnn_fixedpoint.h"

typedef struct {
    int32_t input_height, input_width, channels;
    int32_t output_height, output_width;
    int32_t size_height, size_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t activation_min, activation_max;
} edgecnn_pool_params;

typedef struct {
    int32_t y_begin, y_end, x_begin, x_end;
} edgecnn_window;

EDGECNN_INLINE edgecnn_window edgecnn_window_at(const edgecnn_pool_params *p, int32_t oy,
                                                int32_t ox) {
    const int32_t top = oy * p->stride_height - p->pad_top;
    const int32_t left = ox * p->stride_width - p->pad_left;
    edgecnn_window w;
    w.y_begin = edgecnn_clamp(top, 0, p->input_height);
    w.y_end = edgecnn_clamp(top + p->size_height, 0, p->input_height);
    w.x_begin = edgecnn_clamp(left, 0, p->input_width);
    w.x_end = edgecnn_clamp(left + p->size_width, 0, p->input_width);
    return w;
}

#endif
