"""What the importers of LSTM and GRU share: a layer's weights, checks, steps and states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.spelling import OnnxNode
from edgecnn.ir import Array
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.slice import Part, SliceAttributes

#: Inputs that one concatenation of TFLite Micro takes.
_MAX_CONCAT = 10


@dataclass(frozen=True)
class Layer:
    """The float32 constants of one layer, gates stacked along the first axis.

    ``weights`` are the input's (G * H, I) and the hidden state's (G * H, H), ``biases`` one of
    (G * H,) for each; ``names`` are what the four are called.
    """

    weights: tuple[Array, Array]
    biases: tuple[Array, Array]
    names: tuple[str, str, str, str]

    @property
    def units(self) -> int:
        """The size of the hidden state."""
        return int(self.weights[1].shape[1])


def constant(b: GraphBuilder, value: Value) -> Array:
    """The weights that ``value`` stands for."""
    data = b.data(value)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    return data


# --- torch ----------------------------------------------------------------------------------------


def refuse_torch_variants(
    b: GraphBuilder, x: Value, states: Sequence[Value], bidirectional: bool, trains: bool
) -> None:
    """Raise `Unsupported` for what recurrent layers of torch can have and operators cannot."""
    if bidirectional:
        raise Unsupported("it is bidirectional", "use one direction: what comes is not yet known")
    if trains:
        raise Unsupported("it is in training mode", "call model.eval() before exporting")
    if len(b.shape(x)) != 3:
        raise Unsupported("its input has no batch dimension", "give it (batch, time, features)")
    _refuse_initial(b, states)


def _refuse_initial(b: GraphBuilder, states: Sequence[Value]) -> None:
    initial = [b.data(state) for state in states]
    if any(data is None or data.any() for data in initial):
        raise Unsupported("its initial state is not zero", "leave the initial state out")


def torch_layers(
    b: GraphBuilder, weights: Sequence[Value], has_biases: bool, count: int
) -> list[Layer]:
    """The layers of a torch module, from its flat list of parameters."""
    each = 4 if has_biases else 2
    if len(weights) != each * count:
        raise Unsupported("it has projections (proj_size)", "use proj_size=0")
    return [_torch_layer(b, weights[i * each : (i + 1) * each]) for i in range(count)]


def _torch_layer(b: GraphBuilder, values: Sequence[Value]) -> Layer:
    w, r, *biases = (constant(b, value) for value in values)
    zeros = np.zeros(w.shape[0], np.float32)
    first, second = biases or (zeros, zeros)
    names = [*values, *(f"{values[0]}/bias", f"{values[1]}/bias")][:4]
    return Layer((w, r), (first, second), (names[0], names[1], names[2], names[3]))


# --- ONNX -----------------------------------------------------------------------------------------


def onnx_layer(b: GraphBuilder, node: OnnxNode, gates: Sequence[int]) -> Layer:
    """The only layer of an ONNX node, its gates taken in the order ``gates``."""
    names = (node.value(1), node.value(2))
    w, r = (_gates(constant(b, value)[0], gates) for value in names)
    bias = node.optional(3)
    both = constant(b, bias)[0] if bias else np.zeros(2 * w.shape[0], np.float32)
    first, second = (_gates(half, gates) for half in np.split(both, 2))
    stem = bias or f"{names[0]}/bias"
    return Layer((w, r), (first, second), (*names, stem, f"{stem}/recurrent"))


def _gates(stacked: Array, order: Sequence[int]) -> Array:
    parts = np.split(stacked, len(order))
    return np.concatenate([parts[gate] for gate in order])


def refuse_onnx_variants(
    b: GraphBuilder, node: OnnxNode, activations: Sequence[str], states: Sequence[int]
) -> None:
    """Raise `Unsupported` for what ONNX's LSTM and GRU can have and operators cannot.

    ``states`` are the positions of the inputs that hold initial states.
    """
    a = node.attributes
    direction = a.get("direction", "forward")
    if direction != "forward":
        raise Unsupported(f"its direction is {direction}", "use one direction, forward")
    given = a.get("activations", list(activations))
    if [str(name).lower() for name in given] != [name.lower() for name in activations]:
        raise Unsupported(
            f"its activations are {', '.join(given)}; only {', '.join(activations)} are supported"
        )
    if a.get("clip"):
        raise Unsupported("it clips the inputs of its activations")
    lengths = node.optional(4)
    steps = b.shape(node.value(0))[1 if a.get("layout") else 0]
    if lengths and any(length != steps for length in integers(b, lengths, "its sequence_lens")):
        raise Unsupported("its sequence_lens are not the length of its input", "leave them out")
    _refuse_initial(b, [value for p in states if (value := node.optional(p))])


# --- steps and states -----------------------------------------------------------------------------


def reshape(b: GraphBuilder, x: Value, *shape: int) -> Value:
    """``x`` in another shape."""
    return b.emit("reshape", [x], ReshapeAttributes(shape))


def step_of(b: GraphBuilder, sequence: Value, axis: int, position: int) -> Value:
    """One step (N, C) of a sequence of rank 3, whose time is ``axis`` 0 or 1."""
    shape = b.shape(sequence)
    parts: list[Part | None] = [None, None, None]
    parts[axis] = Part(position % shape[axis], 1)
    step = b.emit("slice", [sequence], SliceAttributes(tuple(parts)))
    return reshape(b, step, shape[1 - axis], shape[2])


def joined(b: GraphBuilder, parts: list[Value], axis: int) -> Value:
    """Concatenate as many tensors as there are, some at a time."""
    while len(parts) > 1:
        groups = [parts[i : i + _MAX_CONCAT] for i in range(0, len(parts), _MAX_CONCAT)]
        attributes = ConcatAttributes(axis)
        parts = [b.emit("concat", [*g], attributes) if len(g) > 1 else g[0] for g in groups]
    return parts[0]


def stacked_states(b: GraphBuilder, states: Sequence[Value]) -> Value:
    """The last hidden states (N, H) of all layers as torch gives them: (layers, N, H)."""
    return joined(b, [reshape(b, state, 1, *b.shape(state)) for state in states], 0)


def onnx_sequence(b: GraphBuilder, sequence: Value, axis: int) -> Value:
    """A sequence of rank 3 with the axis of directions that ONNX has: after time, or after both."""
    first, second, units = b.shape(sequence)
    shape = (first, second, 1, units) if axis == 1 else (first, 1, second, units)
    return reshape(b, sequence, *shape)


def onnx_state(b: GraphBuilder, state: Value, axis: int) -> Value:
    """A last hidden state (N, H) with the axis of directions that ONNX has."""
    batch, units = b.shape(state)
    return reshape(b, state, *((batch, 1, units) if axis == 1 else (1, batch, units)))
