"""LSTM: ATen's lstm, TFLite's UNIDIRECTIONAL_SEQUENCE_LSTM."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.ir import FLOAT32, INT8, INT16, Array, QuantParams, Shape
from edgecnn.operators import operator, operators
from edgecnn.ops.lstm import GATES, LstmAttributes
from edgecnn.ops.reshape import ReshapeAttributes

#: Positions of TFLite's inputs, four gates each.
_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_HIDDEN_STATE, _CELL_STATE = 18, 19
_VARIANTS = {"peepholes": range(9, 12), "a projection": range(16, 18), "layer norm": range(20, 24)}
_TANH = 4
#: The intermediate that TFLite, not TFLite Micro, takes the hidden state's scale from.
_HIDDEN_INTERMEDIATE = 4


def _refuse_variants(op: TfliteOperator) -> None:
    def present(position: int) -> bool:
        return position < len(op.inputs) and op.inputs[position] is not None

    for variant, positions in _VARIANTS.items():
        if any(present(position) for position in positions):
            raise Unsupported(f"it has {variant}, which TensorFlow Lite Micro does not compute")
    if not present(_INPUT_WEIGHTS[0]):
        raise Unsupported(
            "it couples input and forget gate (CIFG), which TensorFlow Lite Micro does not compute"
        )
    for position in (*_INPUT_WEIGHTS, *_RECURRENT_WEIGHTS, *_BIASES, _HIDDEN_STATE, _CELL_STATE):
        if not present(position):
            raise Unsupported(f"it has no input {position}, which TensorFlow Lite Micro needs")
    if op.options.fusedActivationFunction != _TANH:
        raise Unsupported("its cell gate has another activation than tanh")
    if getattr(op.options, "diagonalRecurrentTensors", False):
        raise Unsupported("its recurrent weights are diagonal")


def _stacked(b: GraphBuilder, op: TfliteOperator, positions: Sequence[int], name: str) -> Value:
    """One constant of the tensors of the four gates, with a scale each."""
    tensors = [b.tensors[value] for p in positions if (value := op.inputs[p])]
    arrays = [tensor.data for tensor in tensors if tensor.data is not None]
    if len(arrays) < len(GATES):
        raise Unsupported("its weights are computed by the network; they must be constant")
    if len({(a.shape, a.dtype) for a in arrays}) > 1:
        raise Unsupported(f"the {name.replace('_', ' ')} of its gates differ in shape or type")
    quants = [tensor.quant for tensor in tensors]
    quant = None
    if arrays[0].dtype == np.int8:
        if any(q is None or q.is_per_channel for q in quants):
            raise Unsupported("its weights do not have one scale for each gate")
        parts = [q for q in quants if q is not None]
        scales = tuple(q.scale[0] for q in parts)
        quant = QuantParams(scales, tuple(q.zero_point[0] for q in parts), 0)
    return b.constant(np.stack(arrays), f"{op.output.name}/{name}", quant)


def _int8_attributes(
    b: GraphBuilder, op: TfliteOperator, attributes: LstmAttributes
) -> LstmAttributes:
    """Add what the states and intermediates of an int8 operator say."""
    hidden, cell = (b.tensors[op.inputs[p] or ""] for p in (_HIDDEN_STATE, _CELL_STATE))
    if cell.dtype != INT16 or cell.quant is None:
        raise Unsupported(f"its cell state is {cell.dtype}; TensorFlow Lite Micro needs int16")
    if hidden.quant != op.output.quant or op.output.quant is None:
        raise Unsupported("its hidden state and its output differ in scale or zero point")
    fraction, exponent = math.frexp(cell.quant.scale[0])
    if fraction != 0.5 or cell.quant.zero_point[0] != 0:
        raise Unsupported("the scale of its cell state is not a power of two with zero point 0")
    lent = [t.quant for t in op.intermediates[_HIDDEN_INTERMEDIATE:] if t.quant is not None]
    differs = bool(lent) and lent[0] != op.output.quant
    return dataclasses.replace(
        attributes,
        cell_scale_power=exponent - 1,
        hidden_intermediate=(lent[0].scale[0], lent[0].zero_point[0]) if differs else None,
    )


@tflite("UNIDIRECTIONAL_SEQUENCE_LSTM")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import an LSTM over a sequence; its state variables start from zero at each run."""
    _refuse_variants(op)
    o = op.options
    attributes = LstmAttributes(bool(o.timeMajor), cell_clip=float(o.cellClip))
    if op.output.dtype == INT8:
        attributes = _int8_attributes(b, op, attributes)
    elif op.output.dtype != FLOAT32:
        raise Unsupported(f"it computes {op.output.dtype}")
    inputs = [
        op.inputs[0],
        _stacked(b, op, _INPUT_WEIGHTS, "input_weights"),
        _stacked(b, op, _RECURRENT_WEIGHTS, "recurrent_weights"),
        _bias(b, op),
    ]
    return op.emit(b, "lstm", inputs, attributes)


def _bias(b: GraphBuilder, op: TfliteOperator) -> Value:
    """The stacked biases; their scale is that of the sums, whatever the file says."""
    data = [b.data(op.inputs[p]) for p in _BIASES]
    arrays = [array for array in data if array is not None]
    if len(arrays) < len(GATES):
        raise Unsupported("its biases are computed by the network; they must be constant")
    return b.constant(np.stack(arrays), f"{op.output.name}/bias")


# --- ATen -----------------------------------------------------------------------------------------


def _constant(b: GraphBuilder, value: Value) -> Array:
    data = b.data(value)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    return data


def _layer_inputs(b: GraphBuilder, weights: Sequence[Value]) -> list[Value | None]:
    """Weights and biases of a layer, stacked by gate; torch's gates are in the same order."""
    shape: Shape = (len(GATES), -1)
    w, r, *biases = (_constant(b, value) for value in weights)
    total = sum(biases) if biases else np.zeros(w.shape[0], np.float32)
    names = [*weights[:2], weights[2] if biases else f"{weights[0]}/bias"]
    units = w.shape[0] // len(GATES)
    arrays = (w.reshape(*shape[:1], units, -1), r.reshape(*shape[:1], units, -1))
    bias = np.asarray(total, np.float32).reshape(shape)
    return [b.constant(a, n) for a, n in zip((*arrays, bias), names, strict=True)]


def refuse_torch_variants(
    b: GraphBuilder, weights: Sequence[Value], states: Sequence[Value], bidirectional: bool
) -> None:
    """Raise `Unsupported` for what recurrent layers of torch can have and operators cannot."""
    if bidirectional:
        raise Unsupported("it is bidirectional", "use one direction: what comes is not yet known")
    initial = [b.data(state) for state in states]
    if any(data is None or data.any() for data in initial):
        raise Unsupported("its initial state is not zero", "leave the initial state out")
    if any(len(b.shape(w)) == 2 and b.data(w) is None for w in weights):
        raise Unsupported("its weights are computed by the network; they must be constant")


def layers(weights: Sequence[Value], has_biases: bool, count: int) -> list[Sequence[Value]]:
    """The weights of each layer."""
    each = 4 if has_biases else 2
    if len(weights) != each * count:
        raise Unsupported("it has projections (proj_size)", "use proj_size=0")
    return [weights[i * each : (i + 1) * each] for i in range(count)]


def stacked_states(b: GraphBuilder, states: Sequence[Value]) -> Value:
    """The last hidden states (N, H) of all layers as torch gives them: (layers, N, H)."""
    if len(states) > 1 and "concat" not in operators():
        raise Unsupported(
            "the final hidden states of several layers are used",
            "take the last step of the output sequence",
        )
    parts: list[Value | None] = [
        b.emit("reshape", [state], ReshapeAttributes((1, *b.shape(state)))) for state in states
    ]
    if len(parts) == 1:
        return parts[0] or ""
    return b.emit("concat", parts, make_attributes("concat", 0))


def make_attributes(op: str, *values: Any) -> Any:
    """Attributes of an operator, by position."""
    make: Callable[..., Any] = operator(op).attributes
    return make(*values)


def _last_step(
    b: GraphBuilder, inputs: list[Value | None], sequence: Value, attributes: LstmAttributes
) -> Value:
    """The last step of a layer, (N, H): a slice of its sequence, for the passes to simplify."""
    batch, units = b.shape(sequence)[0 if not attributes.time_major else 1], b.shape(sequence)[2]
    if "slice" not in operators():
        return b.emit("lstm", inputs, dataclasses.replace(attributes, sequence=False))
    axis = 0 if attributes.time_major else 1
    parts: list[Any] = [None, None, None]
    part = importlib.import_module("edgecnn.ops.slice").Part
    parts[axis] = part(b.shape(sequence)[axis] - 1, 1)
    step = b.emit("slice", [sequence], make_attributes("slice", tuple(parts)))
    return b.emit("reshape", [step], ReshapeAttributes((batch, units)))


@aten("lstm.input")
def from_aten(
    b: GraphBuilder,
    x: Value,
    states: Sequence[Value],
    weights: Sequence[Value],
    has_biases: bool,
    count: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, Callable[[], Any], Callable[[], Any]]:
    """Import all layers; the output sequence, and on demand the last hidden state."""
    refuse_torch_variants(b, weights, states, bidirectional)
    if train and dropout > 0:
        raise Unsupported("it is in training mode", "call model.eval() before exporting")
    if len(b.shape(x)) != 3:
        raise Unsupported("its input has no batch dimension", "give it (batch, time, features)")
    attributes = LstmAttributes(time_major=not batch_first)
    runs: list[tuple[list[Value | None], Value]] = []
    sequence = x
    for layer in layers(weights, has_biases, count):
        inputs = [sequence, *_layer_inputs(b, layer)]
        sequence = b.emit("lstm", inputs, attributes)
        runs.append((inputs, sequence))

    def last_hidden() -> Value:
        return stacked_states(b, [_last_step(b, *run, attributes) for run in runs])

    def last_cell() -> Value:
        raise Unsupported(
            "its final cell state is used", "use the output sequence or the last hidden state"
        )

    return sequence, last_hidden, last_cell
