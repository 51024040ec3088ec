"""LSTM: ATen's lstm, ONNX's LSTM, TFLite's UNIDIRECTIONAL_SEQUENCE_LSTM."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.recurrent import (
    Layer,
    onnx_layer,
    onnx_sequence,
    onnx_state,
    refuse_onnx_variants,
    refuse_torch_variants,
    stacked_states,
    step_of,
    torch_layers,
)
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ir import FLOAT32, INT8, INT16, QuantParams
from edgecnn.ops.lstm import GATES, LstmAttributes

#: Positions of TFLite's inputs, four gates each.
_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_HIDDEN_STATE, _CELL_STATE = 18, 19
_VARIANTS = {"peepholes": range(9, 12), "a projection": range(16, 18), "layer norm": range(20, 24)}
_TANH = 4
#: The intermediate that TFLite, not TFLite Micro, takes the hidden state's scale from.
_HIDDEN_INTERMEDIATE = 4
#: Where ONNX (input, output, forget, cell) has the gates of `GATES`.
_ONNX_GATES = (0, 2, 3, 1)


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


# --- torch and ONNX -------------------------------------------------------------------------------


def _run(b: GraphBuilder, x: Value, layer: Layer, attributes: LstmAttributes) -> Value:
    """The output sequence of a layer whose gates are in the order of `GATES`, which is torch's."""
    gates, units = len(GATES), layer.units
    stacked = [w.reshape(gates, units, -1) for w in layer.weights]
    bias = np.asarray(layer.biases[0] + layer.biases[1], np.float32).reshape(gates, units)
    constants = zip((*stacked, bias), layer.names, strict=False)
    return b.emit("lstm", [x, *(b.constant(array, name) for array, name in constants)], attributes)


def _refuse_cell_state() -> Value:
    raise Unsupported(
        "its final cell state is used", "use the output sequence or the last hidden state"
    )


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
    refuse_torch_variants(b, x, states, bidirectional, train and dropout > 0)
    attributes, axis = LstmAttributes(time_major=not batch_first), int(batch_first)
    sequences = [x]
    for layer in torch_layers(b, weights, has_biases, count):
        sequences.append(_run(b, sequences[-1], layer, attributes))

    def last_hidden() -> Value:
        return stacked_states(b, [step_of(b, s, axis, -1) for s in sequences[1:]])

    return sequences[-1], last_hidden, _refuse_cell_state


@onnx("LSTM")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> list[Any]:
    """Import a layer of one direction; on demand the last hidden state."""
    refuse_onnx_variants(b, node, ("Sigmoid", "Tanh", "Tanh"), states=(5, 6))
    if node.attributes.get("input_forget"):
        raise Unsupported(
            "it couples input and forget gate, which TensorFlow Lite Micro does not compute"
        )
    peepholes = node.optional(7)
    weights = None if peepholes is None else b.data(peepholes)
    if peepholes is not None and (weights is None or weights.any()):
        raise Unsupported("it has peepholes, which TensorFlow Lite Micro does not compute")
    axis = int(node.attributes.get("layout", 0))
    layer = onnx_layer(b, node, _ONNX_GATES)
    sequence = _run(b, node.value(0), layer, LstmAttributes(time_major=axis == 0))
    return [
        onnx_sequence(b, sequence, axis),
        lambda: onnx_state(b, step_of(b, sequence, axis, -1), axis),
        _refuse_cell_state,
    ]
