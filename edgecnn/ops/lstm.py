"""Long short-term memory: one layer, one direction, over a whole sequence that starts from zero.

Inputs: sequence (N, T, I), or (T, N, I) where time is major; input weights (4, H, I), recurrent
weights (4, H, H) and biases (4, H) of the input, forget, cell and output gate, in this order.
No state is kept from one run to the next: hidden and cell state are zero before the first step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import (
    INT32_MAX,
    Int64,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    rounding_divide_by_pot,
    scaling_overflows,
)
from edgecnn.fixedpoint16 import (
    INT16_MAX,
    INT16_MIN,
    saturate_int16,
    series_sigmoid,
    series_tanh,
    table_sigmoid,
    table_tanh,
)
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, in_both

GATES = ("input", "forget", "cell", "output")

#: Scale of the sums that the gates' sigmoid and tanh take (Q3.12), and of what they give (Q0.15).
GATE_SUM_SCALE = 2.0**-12
GATE_SCALE = 2.0**-15

#: Powers of two that the scale of the int16 cell state can be: 0 to 6 integer bits.
CELL_SCALE_POWERS = range(-15, -8)

Pairs = tuple[Array, Array]


@dataclass(frozen=True)
class LstmAttributes(Attributes):
    """What the layer is beside its weights.

    ``sequence`` gives the hidden state after each step, else after the last one only.
    ``cell_clip`` limits the magnitude of the cell state; 0 does not. ``cell_scale_power`` is set
    in int8 graphs: the cell state's scale is 2 to it. ``hidden_intermediate``, a scale and a zero
    point, is what a ``.tflite`` file declares beside the output's, where they differ; TensorFlow
    Lite computes with it and TensorFlow Lite Micro does not.
    """

    time_major: bool = False
    sequence: bool = True
    cell_clip: float = 0.0
    cell_scale_power: int | None = None
    hidden_intermediate: tuple[float, int] | None = None


@dataclass(frozen=True, eq=False)
class LstmParams:
    """Integers of an int8 layer. Arrays of the four gates come in the order of `GATES`.

    The zero points of input and hidden state are folded into the biases. ``input_scaling`` and
    ``recurrent_scaling`` are (multipliers, shifts) that bring sums to Q3.12, ``update_scaling``
    brings input times cell gate to the cell state's scale and ``hidden_scaling`` the product
    of tanh and output gate to the output's.

    ``is_series`` is set under the TFLite and LiteRT dialects: gates and cell state are then
    computed as TensorFlow Lite's ``lstm_eval.cc`` does.
    """

    time_major: bool
    sequence: bool
    input_weights: Array
    recurrent_weights: Array
    input_bias: Array
    recurrent_bias: Array
    input_scaling: Pairs
    recurrent_scaling: Pairs
    update_scaling: tuple[int, int]
    hidden_scaling: tuple[int, int]
    cell_scale_power: int
    cell_min: int
    cell_max: int
    initial_hidden: int
    hidden_zero_point: int
    is_series: bool = False

    @property
    def cell_integer_bits(self) -> int:
        """Bits of the cell state before the point."""
        return 15 + self.cell_scale_power


#: Forget gate (Q0.15) times cell state: 2**-15 as TFLite's ``QuantizeMultiplier`` splits it.
FORGET_SCALING = (1 << 30, -14)


def _scales(graph: Graph, name: str) -> Array:
    """float64 scale of each gate's weights."""
    quant = graph.tensors[name].quant
    assert quant is not None
    return np.broadcast_to(np.asarray(quant.scale, np.float64), (len(GATES),))


def _gate_multipliers(scale: float, weights: Array, dialect: Dialect) -> Array:
    """Real multipliers of the sums: in double, but in float32 in TensorFlow Lite's own."""
    if dialect is Dialect.TFLM:
        return scale * weights / GATE_SUM_SCALE
    product = weights.astype(np.float32) * np.float32(scale) / np.float32(GATE_SUM_SCALE)
    return product.astype(np.float64)


def _hidden_multiplier(scale: float, dialect: Dialect) -> float:
    exact = GATE_SCALE * GATE_SCALE / scale
    return exact if dialect is Dialect.TFLM else float(np.float32(exact))


def _clip(clip: float, scale: float, dialect: Dialect) -> tuple[int, int]:
    """Limits of the cell state; a clip of less than a step is none to TensorFlow Lite."""
    steps = int(min(float(np.float32(clip)) / scale, INT16_MAX))
    if clip <= 0 or (steps == 0 and dialect is not Dialect.TFLM):
        return INT16_MIN, INT16_MAX
    return -steps, steps


def _sums(x: Array, weights: Array, bias: Array) -> Int64:
    """(N, K) against (4, H, K): sums (N, 4, H)."""
    products = np.einsum("nk,ghk->ngh", x.astype(np.float64), weights.astype(np.float64))
    return products.astype(np.int64) + bias


def _to_gate_input(sums: Int64, scaling: Pairs) -> Int64:
    multiplier, shift = (array[:, None] for array in scaling)
    return multiply_by_quantized_multiplier(sums, multiplier, shift)


class Lstm(Operator[LstmAttributes, LstmParams]):
    """Unidirectional LSTM."""

    attributes = LstmAttributes
    summary = "one direction, state zero at each start; no peepholes, projection or layer norm"
    differences = in_both("it multiplies the scales in float32, not in double")
    weights_axis = 0
    per_channel = True
    weight_biases = {1: 3, 2: None}  # noqa: RUF012 - a class constant, as in the base

    def infer_shapes(
        self, attributes: LstmAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        x, weights, recurrent, bias = shapes
        gates, units, depth = weights
        fits = recurrent == (gates, units, units) and bias == (gates, units) and x[2] == depth
        if len(x) != 3 or gates != len(GATES) or not fits:
            raise ValueError("weights, recurrent weights and biases do not belong together")
        if attributes.sequence:
            return ((*x[:2], units),)
        return ((x[1] if attributes.time_major else x[0], units),)

    def evaluate_float(
        self, attributes: LstmAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        hidden, _ = self._float_states(attributes, inputs)
        return (_laid_out(hidden, attributes.time_major, attributes.sequence),)

    def _float_states(
        self, attributes: LstmAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, Array]:
        """Hidden and cell state after each step, (T, N, H)."""
        x, weights, recurrent, bias = inputs
        assert x is not None
        assert weights is not None
        assert recurrent is not None
        steps = x if attributes.time_major else x.swapaxes(0, 1)
        clip = np.float32(attributes.cell_clip if attributes.cell_clip > 0 else np.inf)
        h = c = np.zeros((steps.shape[1], weights.shape[1]), np.float32)
        states = []
        for step in steps:
            sums = np.einsum("nk,ghk->gnh", step, weights)
            sums = sums + np.einsum("nk,ghk->gnh", h, recurrent) + np.asarray(bias)[:, None]
            i, f, o = (np.tanh(sums[gate] / 2) / 2 + np.float32(0.5) for gate in (0, 1, 3))
            c = np.clip(f * c + i * np.tanh(sums[2]), -clip, clip)
            h = o * np.tanh(c)
            states.append((h, c))
        hidden, cell = zip(*states, strict=True)
        return np.stack(hidden), np.stack(cell)

    def internal_values(
        self, attributes: LstmAttributes, inputs: Sequence[Array | None]
    ) -> Mapping[str, Array]:
        return {"cell": self._float_states(attributes, inputs)[1]}

    def with_internal_ranges(
        self, attributes: LstmAttributes, ranges: Mapping[str, tuple[float, float]]
    ) -> LstmAttributes:
        """The smallest power of two that holds the cell state gives its scale."""
        largest = max(map(abs, ranges["cell"]))
        bits = math.ceil(math.log2(largest)) if largest > 0 else 0
        power = min(max(bits - 15, CELL_SCALE_POWERS[0]), CELL_SCALE_POWERS[-1])
        return dataclasses.replace(attributes, cell_scale_power=power)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> LstmParams:
        """As TFLM's ``PrepareGateParametersInteger`` or TFLite's ``PopulateQuantizedLstmParams``.

        TFLite takes the scale of the hidden state from an intermediate tensor, and multiplies
        scales in float32.
        """
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        assert a.cell_scale_power is not None
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights, recurrent, bias = (graph.constant(name) for name in node.inputs[1:4])
        assert weights is not None
        assert recurrent is not None
        assert bias is not None
        hidden = (output.scale, output.zero_point)
        if dialect is not Dialect.TFLM and a.hidden_intermediate is not None:
            hidden = a.hidden_intermediate
        cell_scale = 2.0**a.cell_scale_power
        cell_min, cell_max = _clip(a.cell_clip, cell_scale, dialect)
        input_scales, recurrent_scales = (_scales(graph, name) for name in node.inputs[1:3])
        return LstmParams(
            time_major=a.time_major,
            sequence=a.sequence,
            input_weights=weights,
            recurrent_weights=recurrent,
            input_bias=_folded(bias, weights, x.zero_point),
            recurrent_bias=_folded(np.zeros_like(bias), recurrent, output.zero_point),
            input_scaling=quantize_multipliers(_gate_multipliers(x.scale, input_scales, dialect)),
            recurrent_scaling=quantize_multipliers(
                _gate_multipliers(output.scale, recurrent_scales, dialect)
            ),
            update_scaling=quantize_multiplier(GATE_SCALE * GATE_SCALE / cell_scale),
            hidden_scaling=quantize_multiplier(_hidden_multiplier(hidden[0], dialect)),
            cell_scale_power=a.cell_scale_power,
            cell_min=cell_min,
            cell_max=cell_max,
            initial_hidden=output.zero_point,
            hidden_zero_point=hidden[1],
            is_series=dialect is not Dialect.TFLM,
        )

    def evaluate_int(self, params: LstmParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        steps = inputs[0] if p.time_major else inputs[0].swapaxes(0, 1)
        units = p.input_weights.shape[1]
        h = np.full((steps.shape[1], units), p.initial_hidden, np.int8)
        c: Int64 = np.zeros(h.shape, np.int64)
        states = []
        for step in steps:
            gates = _series_gates(p, step, h) if p.is_series else _table_gates(p, step, h)
            c = (_series_cell if p.is_series else _table_cell)(p, gates, c)
            tanh = (series_tanh if p.is_series else table_tanh)(c, p.cell_integer_bits)
            h = requantize(tanh * gates[3], *p.hidden_scaling, p.hidden_zero_point)
            states.append(h)
        return (_laid_out(np.stack(states), p.time_major, p.sequence),)

    def macs(
        self, attributes: LstmAttributes, shapes: Sequence[Shape], outputs: Sequence[Shape]
    ) -> int:
        return math.prod(shapes[0][:2]) * (math.prod(shapes[1]) + math.prod(shapes[2]))

    def keeps_samples_apart(self, attributes: LstmAttributes) -> bool:
        return not attributes.time_major

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        constants = [graph.constant(name) for name in node.inputs[1:]]
        if any(data is None for data in constants):
            return "its weights are computed by the network; they must be constant"
        if graph.tensors[node.output].quant is None:
            return None
        if a.cell_scale_power not in CELL_SCALE_POWERS:
            return (
                f"its cell state has the scale 2**{a.cell_scale_power}; TensorFlow Lite computes "
                f"with 2**{CELL_SCALE_POWERS[0]} to 2**{CELL_SCALE_POWERS[-1]}"
            )
        return _int8_problem(node, graph)


def _laid_out(states: Array, time_major: bool, sequence: bool) -> Array:
    """The operator's output, from states (T, N, H)."""
    if not sequence:
        return states[-1]
    return states if time_major else states.swapaxes(0, 1)


def _folded(bias: Array, weights: Array, zero_point: int) -> Array:
    """int32 biases (4, H) less zero point times the sum of the weights."""
    return (bias - zero_point * weights.sum(axis=2, dtype=np.int64)).astype(np.int32)


def _int8_problem(node: Node, graph: Graph) -> str | None:
    """Say why an int8 layer cannot be computed without overflow, or None."""
    bias = graph.constant(node.inputs[3])
    assert bias is not None
    limits = (np.abs(bias.astype(np.int64)), np.zeros(bias.shape, np.int64))
    scales = (graph.tensors[node.inputs[0]].scale, graph.tensors[node.output].scale)
    for name, limit, scale in zip(node.inputs[1:3], limits, scales, strict=True):
        weights, quant = graph.constant(name), graph.tensors[name].quant
        assert weights is not None
        if quant is None or any(quant.zero_point):
            return "its int8 weights have a zero point other than 0"
        largest = np.abs(weights.astype(np.int64)).sum(axis=2) * MAX_OFFSET_INPUT + limit
        real = _gate_multipliers(scale, _scales(graph, name), Dialect.TFLM)
        _, shift = quantize_multipliers(real)
        if np.any(largest > INT32_MAX):
            return "its int32 accumulator can overflow with these weights and biases"
        if scaling_overflows(largest, shift[:, None]):
            return "the scales of its input and weights are so large that rescaling overflows int32"
    a = node.attributes
    assert isinstance(a, LstmAttributes)
    hidden = [scales[1], *(a.hidden_intermediate or ())[:1]]
    shifts = [quantize_multiplier(_hidden_multiplier(s, Dialect.TFLM))[1] for s in hidden]
    if scaling_overflows(INT16_MAX * INT16_MAX, np.array(shifts)):
        return "its output scale is so small that rescaling overflows int32"
    return None


# --- TensorFlow Lite Micro: kernels of fully connected layers, LUTs, and products -----------------


def _table_gates(p: LstmParams, step: Array, h: Array) -> list[Int64]:
    """The four gates, (N, H) each, Q0.15 (``CalculateLstmGate``)."""
    from_input = _to_gate_input(_sums(step, p.input_weights, p.input_bias), p.input_scaling)
    from_hidden = _to_gate_input(
        _sums(h, p.recurrent_weights, p.recurrent_bias), p.recurrent_scaling
    )
    sums = saturate_int16(saturate_int16(from_input) + saturate_int16(from_hidden))
    i, f, g, o = (sums[:, gate] for gate in range(len(GATES)))
    return [table_sigmoid(i), table_sigmoid(f), table_tanh(g, 3), table_sigmoid(o)]


def _table_cell(p: LstmParams, gates: Sequence[Int64], c: Int64) -> Int64:
    """The next cell state (``UpdateLstmCell``)."""
    i, f, g, _ = gates
    kept = saturate_int16(multiply_by_quantized_multiplier(f * c, *FORGET_SCALING))
    new = saturate_int16(multiply_by_quantized_multiplier(i * g, *p.update_scaling))
    return np.clip(saturate_int16(kept + new), p.cell_min, p.cell_max)


# --- TensorFlow Lite: sums that saturate as they go, gemmlowp's series, shifts --------------------


def _series_gates(p: LstmParams, step: Array, h: Array) -> list[Int64]:
    """The four gates (``CalculateLstmGateInteger8x8_16``)."""
    from_input = _to_gate_input(_sums(step, p.input_weights, p.input_bias), p.input_scaling)
    from_hidden = _to_gate_input(
        _sums(h, p.recurrent_weights, p.recurrent_bias), p.recurrent_scaling
    )
    sums = saturate_int16(saturate_int16(from_input) + from_hidden)
    i, f, g, o = (sums[:, gate] for gate in range(len(GATES)))
    return [series_sigmoid(i), series_sigmoid(f), series_tanh(g, 3), series_sigmoid(o)]


def _series_cell(p: LstmParams, gates: Sequence[Int64], c: Int64) -> Int64:
    """The next cell state (``UpdateLstmCellInteger``)."""
    i, f, g, _ = gates
    kept = rounding_divide_by_pot(f * c, 15)
    new = rounding_divide_by_pot(i * g, 30 + p.cell_scale_power)
    return np.clip(saturate_int16(kept + new), p.cell_min, p.cell_max)


OPERATOR = Lstm()
