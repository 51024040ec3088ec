"""GRU: ATen's gru, written out over time with operators that TFLite Micro has."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.ops.lstm import (
    layers,
    make_attributes,
    refuse_torch_variants,
    stacked_states,
)
from edgecnn.frontends.spelling import aten
from edgecnn.ir import Array
from edgecnn.operators import operator, operators
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.reshape import ReshapeAttributes

#: What a step is made of, beside fully connected layers and reshapes.
OPERATORS = ("add", "concat", "mul", "sigmoid", "slice", "sub", "tanh")

#: Steps that are written out; each takes some twenty operators.
MAX_STEPS = 128

#: Inputs that one concatenation of TFLite Micro takes.
_MAX_CONCAT = 10


class _Layer:
    """The weights of one layer by gate: reset, update, new."""

    def __init__(self, b: GraphBuilder, weights: Sequence[Value]) -> None:
        self.b = b
        arrays = [b.data(value) for value in weights]
        input_weights, hidden_weights, *biases = (a for a in arrays if a is not None)
        self.units = input_weights.shape[0] // 3
        zeros = np.zeros(3 * self.units, np.float32)
        input_bias, hidden_bias = biases or (zeros, zeros)
        names = [*weights, *(f"{weights[0]}/bias", f"{weights[1]}/bias")][:4]
        # Reset and update gate only see the sum of both biases; the new gate scales one of them.
        inside = np.repeat([0, 0, 1], self.units).astype(np.float32)
        input_bias = input_bias + hidden_bias * (1 - inside)
        pairs = ((input_weights, input_bias, 0), (hidden_weights, hidden_bias * inside, 1))
        self._input, self._hidden = (
            self._gates(w, bias, names[i], names[i + 2]) for w, bias, i in pairs
        )
        self._new_bias = hidden_bias[2 * self.units :].reshape(1, -1)
        self._new_bias_name = names[3]

    def _gates(
        self, weights: Array, bias: Array, weights_name: str, bias_name: str
    ) -> list[tuple[Value, Value]]:
        b, parts = self.b, [slice(g * self.units, (g + 1) * self.units) for g in range(3)]
        return [
            (b.constant(weights[p], weights_name), b.constant(bias[p], bias_name)) for p in parts
        ]

    def _product(self, x: Value, weights: tuple[Value, Value]) -> Value:
        return self.b.emit("fully_connected", [x, *weights], FullyConnectedAttributes())

    def step(self, x: Value, hidden: Value | None) -> Value:
        """The hidden state after a step, (N, H); None stands for the zeros before the first."""
        b = self.b
        sums = [self._product(x, weights) for weights in self._input]
        if hidden is None:
            inner = b.constant(self._new_bias, self._new_bias_name)
        else:
            products = [self._product(hidden, weights) for weights in self._hidden]
            sums[:2] = [_emit(b, "add", s, p) for s, p in zip(sums[:2], products[:2], strict=True)]
            inner = products[2]
        update = _emit(b, "sigmoid", sums[1])
        if hidden is not None or self._new_bias.any():
            reset = _emit(b, "sigmoid", sums[0])
            sums[2] = _emit(b, "add", sums[2], _emit(b, "mul", reset, inner))
        new = _emit(b, "tanh", sums[2])
        if hidden is None:  # (1 - z) n
            return _emit(b, "sub", new, _emit(b, "mul", update, new))
        # (1 - z) n + z h
        change = _emit(b, "mul", update, _emit(b, "sub", hidden, new))
        return _emit(b, "add", new, change)


def _emit(b: GraphBuilder, op: str, *inputs: Value) -> Value:
    return b.emit(op, list(inputs), operator(op).attributes())


def _reshape(b: GraphBuilder, x: Value, *shape: int) -> Value:
    return b.emit("reshape", [x], ReshapeAttributes(shape))


def _frames(b: GraphBuilder, x: Value, axis: int) -> list[Value]:
    """The steps of a sequence along an axis, (N, I) each."""
    slices = importlib.import_module("edgecnn.ops.slice")
    shape = b.shape(x)
    frames = []
    for step in range(shape[axis]):
        parts = [None, None, None]
        parts[axis] = slices.Part(step, 1)
        frame = b.emit("slice", [x], slices.SliceAttributes(tuple(parts)))
        frames.append(_reshape(b, frame, shape[1 - axis], shape[2]))
    return frames


def _joined(b: GraphBuilder, parts: list[Value], axis: int) -> Value:
    """Concatenate as many tensors as there are, some at a time."""
    while len(parts) > 1:
        groups = [parts[i : i + _MAX_CONCAT] for i in range(0, len(parts), _MAX_CONCAT)]
        attributes = make_attributes("concat", axis)
        parts = [b.emit("concat", [*g], attributes) if len(g) > 1 else g[0] for g in groups]
    return parts[0]


def _sequence(b: GraphBuilder, frames: Sequence[Value], axis: int) -> Value:
    batch, units = b.shape(frames[0])
    shape = (batch, 1, units) if axis == 1 else (1, batch, units)
    return _joined(b, [_reshape(b, frame, *shape) for frame in frames], axis)


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
    refuse_torch_variants(b, weights, [state], bidirectional)
    if train and dropout > 0:
        raise Unsupported("it is in training mode", "call model.eval() before exporting")
    missing = [name for name in OPERATORS if name not in operators()]
    if missing:
        raise Unsupported(f"it needs operators that are missing: {', '.join(missing)}")
    if len(b.shape(x)) != 3:
        raise Unsupported("its input has no batch dimension", "give it (batch, time, features)")
    axis = 1 if batch_first else 0
    steps = b.shape(x)[axis]
    if steps > MAX_STEPS:
        raise Unsupported(
            f"its {steps} steps would be written out one by one; at most {MAX_STEPS} are supported",
            "use LSTM, which TensorFlow Lite Micro has",
        )
    frames, last = _frames(b, x, axis), list[Value]()
    for layer_weights in layers(weights, has_biases, count):
        layer, hidden = _Layer(b, layer_weights), list[Value]()
        for frame in frames:
            hidden.append(layer.step(frame, hidden[-1] if hidden else None))
        frames = hidden
        last.append(hidden[-1])
    return _sequence(b, frames, axis), lambda: stacked_states(b, last)
