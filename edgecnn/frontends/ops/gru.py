"""GRU: ATen's gru, ONNX's GRU, written out over time with operators that TFLite Micro has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.recurrent import (
    Layer,
    joined,
    onnx_layer,
    onnx_sequence,
    onnx_state,
    refuse_onnx_variants,
    refuse_torch_variants,
    reshape,
    stacked_states,
    step_of,
    torch_layers,
)
from edgecnn.frontends.spelling import OnnxNode, aten, onnx
from edgecnn.ir import Array
from edgecnn.operators import operator
from edgecnn.ops.fully_connected import FullyConnectedAttributes

#: Steps that are written out; each takes some twenty operators.
MAX_STEPS = 128

#: Where ONNX (update, reset, hidden) has torch's gates: reset, update, new.
_ONNX_GATES = (1, 0, 2)


class _Cell:
    """One layer's step, from its constants by gate: reset, update, new (torch's order).

    With ``reset_after`` the reset gate scales the hidden state's product, as in torch, else the
    hidden state itself (ONNX's linear_before_reset = 0).
    """

    def __init__(self, b: GraphBuilder, layer: Layer, reset_after: bool = True) -> None:
        self.b, self.reset_after = b, reset_after
        units = layer.units
        # Only a bias that the reset gate scales stays with the hidden state's product.
        inside = np.repeat([0, 0, int(reset_after)], units).astype(np.float32)
        input_bias = layer.biases[0] + layer.biases[1] * (1 - inside)
        hidden_bias = layer.biases[1] * inside
        names = layer.names
        self._input = self._gates(units, layer.weights[0], input_bias, names[0], names[2])
        self._hidden = self._gates(units, layer.weights[1], hidden_bias, names[1], names[3])
        self._new_bias = hidden_bias[2 * units :].reshape(1, -1)
        self._new_bias_name = names[3]

    def _gates(
        self, units: int, weights: Array, bias: Array, weights_name: str, bias_name: str
    ) -> list[tuple[Value, Value]]:
        b, parts = self.b, [slice(g * units, (g + 1) * units) for g in range(3)]
        return [
            (b.constant(weights[p], weights_name), b.constant(bias[p], bias_name)) for p in parts
        ]

    def _product(self, x: Value, weights: tuple[Value, Value]) -> Value:
        return self.b.emit("fully_connected", [x, *weights], FullyConnectedAttributes())

    def step(self, x: Value, hidden: Value | None) -> Value:
        """The hidden state after a step, (N, H); None stands for the zeros before the first."""
        if hidden is None:
            return self._first_step(x)
        b = self.b
        reset, update = (
            _emit(b, "sigmoid", _emit(b, "add", self._product(x, w), self._product(hidden, r)))
            for w, r in zip(self._input[:2], self._hidden[:2], strict=True)
        )
        if self.reset_after:
            inner = _emit(b, "mul", reset, self._product(hidden, self._hidden[2]))
        else:
            inner = self._product(_emit(b, "mul", reset, hidden), self._hidden[2])
        new = _emit(b, "tanh", _emit(b, "add", self._product(x, self._input[2]), inner))
        # (1 - z) n + z h
        change = _emit(b, "mul", update, _emit(b, "sub", hidden, new))
        return _emit(b, "add", new, change)

    def _first_step(self, x: Value) -> Value:
        """The step from a hidden state of zeros: (1 - z) n."""
        b = self.b
        reset_sum, update_sum, new_sum = (self._product(x, weights) for weights in self._input)
        if self._new_bias.any():
            bias = b.constant(self._new_bias, self._new_bias_name)
            reset = _emit(b, "sigmoid", reset_sum)
            new_sum = _emit(b, "add", new_sum, _emit(b, "mul", reset, bias))
        new = _emit(b, "tanh", new_sum)
        return _emit(b, "sub", new, _emit(b, "mul", _emit(b, "sigmoid", update_sum), new))


def _emit(b: GraphBuilder, op: str, *inputs: Value) -> Value:
    return b.emit(op, list(inputs), operator(op).attributes())


def _frames(b: GraphBuilder, x: Value, axis: int) -> list[Value]:
    """The steps of a sequence along an axis, (N, I) each."""
    steps = b.shape(x)[axis]
    if steps > MAX_STEPS:
        raise Unsupported(
            f"its {steps} steps would be written out one by one; at most {MAX_STEPS} are supported",
            "use LSTM, which TensorFlow Lite Micro has",
        )
    return [step_of(b, x, axis, step) for step in range(steps)]


def _run(cell: _Cell, frames: Sequence[Value]) -> list[Value]:
    """The hidden state after each step."""
    hidden: list[Value] = []
    for frame in frames:
        hidden.append(cell.step(frame, hidden[-1] if hidden else None))
    return hidden


def _sequence(b: GraphBuilder, frames: Sequence[Value], axis: int) -> Value:
    batch, units = b.shape(frames[0])
    shape = (batch, 1, units) if axis == 1 else (1, batch, units)
    return joined(b, [reshape(b, frame, *shape) for frame in frames], axis)


@aten("gru.input")
def from_aten(
    b: GraphBuilder,
    x: Value,
    state: Value,
    weights: Sequence[Value],
    has_biases: bool,
    count: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, Callable[[], Any]]:
    """Import all layers step by step; the output sequence, and on demand the last hidden state."""
    refuse_torch_variants(b, x, [state], bidirectional, train and dropout > 0)
    axis = int(batch_first)
    frames, last = _frames(b, x, axis), list[Value]()
    for layer in torch_layers(b, weights, has_biases, count):
        frames = _run(_Cell(b, layer), frames)
        last.append(frames[-1])
    return _sequence(b, frames, axis), lambda: stacked_states(b, last)


@onnx("GRU")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> list[Any]:
    """Import a layer of one direction step by step; on demand the last hidden state."""
    refuse_onnx_variants(b, node, ("Sigmoid", "Tanh"), states=(5,))
    a = node.attributes
    axis = int(a.get("layout", 0))
    layer = onnx_layer(b, node, _ONNX_GATES)
    cell = _Cell(b, layer, reset_after=bool(a.get("linear_before_reset", 0)))
    frames = _run(cell, _frames(b, node.value(0), axis))
    return [
        lambda: onnx_sequence(b, _sequence(b, frames, axis), axis),
        lambda: onnx_state(b, frames[-1], axis),
    ]
