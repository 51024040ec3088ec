/* LSTM over sequences: TensorFlow Lite Micro's int8 kernel with an int16 cell state.
 *
 * Nothing is kept from one call to the next: every sequence starts from state zero. Gates come
 * in the order input, forget, cell, output.
 */
#ifndef EDGECNN_LSTM_H
#define EDGECNN_LSTM_H

#include "edgecnn_fixedpoint16.h"

typedef struct {
    const int8_t *input_weights;     /* [4][units][depth] */
    const int8_t *recurrent_weights; /* [4][units][units] */
    const int32_t *input_bias;       /* [4][units], less zero point times sum of weights */
    const int32_t *recurrent_bias;   /* [4][units], likewise */
    int32_t input_multiplier[4], input_shift[4]; /* bring sums to Q3.12 */
    int32_t recurrent_multiplier[4], recurrent_shift[4];
    int32_t update_multiplier, update_shift; /* bring input times cell gate to the cell's scale */
    int32_t hidden_multiplier, hidden_shift; /* bring tanh times output gate to the output's */
    int32_t cell_integer_bits;
    int32_t cell_min, cell_max;
    int32_t hidden_zero_point;
    int32_t batches, steps, depth, units;
    int32_t input_batch_stride, input_step_stride;
    int32_t output_batch_stride, output_step_stride; /* the latter 0: the last step only */
} edgecnn_lstm_params;

EDGECNN_INLINE int32_t edgecnn_lstm_saturate(int32_t x) {
    return edgecnn_clamp(x, INT16_MIN, INT16_MAX);
}

/* What the activation of a gate takes, Q3.12. */
EDGECNN_INLINE int32_t edgecnn_lstm_sum(const edgecnn_lstm_params *p, int32_t gate, int32_t unit,
                                        const int8_t *input, const int8_t *hidden) {
    const int32_t row = gate * p->units + unit;
    const int32_t from_input =
        p->input_bias[row] + edgecnn_dot(p->input_weights + row * p->depth, input, p->depth);
    const int32_t from_hidden =
        p->recurrent_bias[row] +
        edgecnn_dot(p->recurrent_weights + row * p->units, hidden, p->units);
    return edgecnn_lstm_saturate(
        edgecnn_lstm_saturate(
            edgecnn_scale(from_input, p->input_multiplier[gate], p->input_shift[gate])) +
        edgecnn_lstm_saturate(
            edgecnn_scale(from_hidden, p->recurrent_multiplier[gate], p->recurrent_shift[gate])));
}

/* One unit in one step: update its cell state, return its hidden state. */
EDGECNN_INLINE int8_t edgecnn_lstm_unit(const edgecnn_lstm_params *p, int32_t unit,
                                        const int8_t *input, const int8_t *hidden,
                                        int16_t *cell) {
    const int32_t in = edgecnn_sigmoid_q15(edgecnn_lstm_sum(p, 0, unit, input, hidden));
    const int32_t forget = edgecnn_sigmoid_q15(edgecnn_lstm_sum(p, 1, unit, input, hidden));
    const int32_t update = edgecnn_tanh_q15(edgecnn_lstm_sum(p, 2, unit, input, hidden), 3);
    const int32_t out = edgecnn_sigmoid_q15(edgecnn_lstm_sum(p, 3, unit, input, hidden));
    /* 2^-15, as a multiplier */
    const int32_t kept = edgecnn_lstm_saturate(edgecnn_scale(forget * *cell, 1 << 30, -14));
    const int32_t added = edgecnn_lstm_saturate(
        edgecnn_scale(in * update, p->update_multiplier, p->update_shift));
    *cell = (int16_t)edgecnn_clamp(edgecnn_lstm_saturate(kept + added), p->cell_min, p->cell_max);
    return edgecnn_requantize(edgecnn_tanh_q15(*cell, p->cell_integer_bits) * out,
                              p->hidden_multiplier, p->hidden_shift, p->hidden_zero_point,
                              INT8_MIN, INT8_MAX);
}

/* scratch: 3 * units bytes, aligned to 2: the cell state and the hidden state. */
EDGECNN_FUNCTION void edgecnn_lstm(const edgecnn_lstm_params *p, const int8_t *input,
                                   int8_t *scratch, int8_t *output) {
    int16_t *const cell = (int16_t *)(void *)scratch;
    int8_t *const hidden = scratch + 2 * p->units;
    for (int32_t batch = 0; batch < p->batches; ++batch) {
        const int8_t *x = input + batch * p->input_batch_stride;
        int8_t *y = output + batch * p->output_batch_stride;
        for (int32_t unit = 0; unit < p->units; ++unit) {
            cell[unit] = 0;
            hidden[unit] = (int8_t)p->hidden_zero_point;
        }
        for (int32_t step = 0; step < p->steps; ++step) {
            for (int32_t unit = 0; unit < p->units; ++unit) {
                y[unit] = edgecnn_lstm_unit(p, unit, x, hidden, cell + unit);
            }
            for (int32_t unit = 0; unit < p->units; ++unit) {
                hidden[unit] = y[unit];
            }
            x += p->input_step_stride;
            y += p->output_step_stride;
        }
    }
}

#endif
