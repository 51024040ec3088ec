"""Makes an int8 graph of a network whose scales came with it, as ``fake_quantize`` nodes.

Each such node gives its scale and zero point to the tensor before it and vanishes; constants have
theirs in the tensor itself. Nothing is calibrated and no scale is changed; constants without one
are quantized as those of a float network. Where TensorFlow Lite
fixes a scale (softmax) or shares one (pooling, concatenation) and the file has another, a
``requantize`` leads from the one to the other; what does not fit its scheme is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from edgecnn import verify
from edgecnn.errors import InvariantError, ModelFormatError, Problem, UnsupportedError
from edgecnn.fixedpoint import (
    INT8_MAX,
    INT8_MIN,
    INT32_MAX,
    INT32_MIN,
    quantize,
    round_and_clamp,
)
from edgecnn.frontends.builder import Unsupported
from edgecnn.ir import (
    FLOAT32,
    INT8,
    INT32,
    Array,
    Attributes,
    Graph,
    Node,
    QuantParams,
    Tensor,
    prune,
)
from edgecnn.moves import Move
from edgecnn.operators import OutputRange, operator
from edgecnn.ops.fake_quantize import FakeQuantizeAttributes
from edgecnn.passes.cancel_transposes import cancel_transposes
from edgecnn.passes.editing import renamed, unique_name
from edgecnn.passes.fuse_activations import fuse_activations
from edgecnn.passes.fuse_bias import fuse_bias
from edgecnn.quantization.weights import (
    MAX_BIAS,
    quantize_bias,
    quantize_operand,
    quantize_weights,
    weight_scales,
)

MARK = "fake_quantize"
#: Operators, besides those that are a `Move`, that choose among the values of their inputs.
_MOVING = ("reshape", "transpose", "max_pool2d")
#: Operators whose outputs stay in the range of their input, which they keep where no mark follows.
_WITHIN_INPUT = ("mean", "relu")
#: How far from an integer a constant may be in its own steps: float32 has 2**-24 of 127.
_OFF_GRID = 1e-3
#: A bias scale this near to input scale times weight scale is that product, rounded otherwise.
_SAME_SCALE = 1e-5


def has_marks(graph: Graph) -> bool:
    """Whether activations of a float graph are rounded to int8 codes."""
    return any(node.op == MARK for node in graph.nodes)


def float_graph(graph: Graph) -> Graph:
    """The graph with constants as plain float32 (weights alone may have been int8)."""
    tensors = {
        name: dataclasses.replace(
            tensor, dtype=FLOAT32, data=tensor.data.astype(np.float32), quant=None
        )
        if tensor.data is not None and tensor.data.dtype.kind == "f"
        else tensor
        for name, tensor in graph.tensors.items()
    }
    return graph.replace(tensors=tensors)


def int8_graph(graph: Graph) -> Graph:
    """The int8 graph of a float graph with marks.

    Activations between an operator and its mark are fused. Raises `UnsupportedError` with every
    tensor that has no scale, two, or one that TFLite's int8 scheme has no place for.
    """
    for rewrite in (cancel_transposes, fuse_bias, fuse_activations):
        graph = rewrite(graph)
    result = prune(_Conversion(graph).run())
    if len(set(result.outputs)) < len(result.outputs):
        raise ModelFormatError("the network returns the same tensor twice; return it once")
    try:
        verify.check(result)
    except InvariantError as error:
        raise ModelFormatError(f"the quantized network contradicts itself ({error})") from error
    return result


class _Conversion:
    """Converts node by node; ``aliases`` leads from a mark's output to the tensor before it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.consumers = graph.consumers()
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.aliases: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.failed: set[str] = set()

    def run(self) -> Graph:
        for name in self.graph.inputs:
            self._attempt("input", (name,), lambda name=name: self._input(name))
        for node in self.graph.nodes:
            if self.failed.intersection(node.inputs):
                self.failed.update(node.outputs)
                continue
            convert = self._mark if node.op == MARK else self._node
            self._attempt(node.op, node.outputs, lambda c=convert, n=node: c(n))
        if self.problems:
            raise UnsupportedError(self.problems)
        return self._finished()

    def _attempt(self, op: str, outputs: tuple[str, ...], convert: Any) -> None:
        try:
            convert()
        except Unsupported as problem:
            self.problems.append(Problem(op, outputs[0], problem.reason, problem.substitute))
            self.failed.update(outputs)

    def _finished(self) -> Graph:
        graph = self.graph
        outputs = tuple(self._resolved(name) for name in graph.outputs)
        permutations = {
            self._resolved(name): order for name, order in graph.output_permutations.items()
        }
        result = graph.replace(
            nodes=tuple(self.nodes),
            tensors=self.tensors,
            outputs=outputs,
            output_permutations=permutations,
        )
        own = {
            inner: outer
            for inner, outer in zip(outputs, graph.outputs, strict=True)
            if inner != outer and inner not in graph.inputs
        }
        return renamed(result, own)

    def _resolved(self, name: str) -> str:
        return self.aliases.get(name, name)

    # --- activations --------------------------------------------------------------------------

    def _readers(self, name: str) -> Iterator[Node | None]:
        """What reads a tensor, also behind operators that only move it; None is the caller."""
        if name in self.graph.outputs:
            yield None
        for node in self.consumers[name]:
            if _only_moves(node):
                for output in node.outputs:
                    yield from self._readers(output)
            else:
                yield node

    def _marks(self, name: str) -> set[QuantParams]:
        """The scales that the marks behind a tensor give it: right behind, or else further on."""
        found = _scales(self.consumers[name]) or _scales(self._readers(name))
        if len(found) > 1:
            raise Unsupported("it is quantized to several scales", "give all of them one scale")
        return found

    def _only_mark(self, name: str) -> QuantParams:
        """The scale of a tensor that exists in codes only."""
        found = self._marks(name)
        if not found:
            raise Unsupported(
                "no QuantizeLinear follows, so its output has no scale", "quantize the whole model"
            )
        if any(node is None or node.op != MARK for node in self._readers(name)):
            raise Unsupported("its output is quantized and also used in float")
        return found.pop()

    def _input(self, name: str) -> None:
        self._enter(name, self._only_mark(name))

    def _enter(self, name: str, quant: QuantParams | None, dtype: str = INT8) -> None:
        self.tensors[name] = Tensor(name, self.graph.tensors[name].shape, dtype, None, quant)

    def _mark(self, node: Node) -> None:
        """A mark is another name of the tensor before it, or that tensor at another scale."""
        a = node.attributes
        assert isinstance(a, FakeQuantizeAttributes)
        source = self._resolved(node.inputs[0])
        if self.tensors[source].quant == a.quant:
            self.aliases[node.output] = source
        else:
            self._requantized(source, a.quant, node.output)

    def _requantized(self, source: str, quant: QuantParams, name: str) -> None:
        tensor = self.tensors[source]
        if tensor.quant is None:
            raise Unsupported(f"'{source}' holds {tensor.dtype} indices, which have no scale")
        self.tensors[name] = Tensor(name, tensor.shape, INT8, None, quant)
        self.nodes.append(Node("requantize", (source,), (name,), Attributes()))

    def _output_quant(self, node: Node) -> QuantParams | None:
        """The scale of a node's output, by the operator's rule and by the mark behind it."""
        op, name = operator(node.op), node.output
        if op.output_dtype != INT8:
            return None
        if op.output_range is OutputRange.FIXED:
            return op.fixed_output
        if op.output_range is OutputRange.SAME_AS_INPUT:
            return self.tensors[self._resolved(node.inputs[0])].quant
        given = {
            self.tensors[n].quant for n in map(self._resolved, node.inputs) if n in self.tensors
        }
        within = op.output_range is OutputRange.SHARED or node.op in _WITHIN_INPUT
        if within and len(given) == 1 and not self._marks(name):
            return given.pop()
        return self._only_mark(name)

    # --- nodes --------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        op = operator(node.op)
        if op.is_float_only:
            raise Unsupported("it cannot be computed in int8", "fold it before quantizing")
        quant = self._output_quant(node)
        if op.weights_axis is not None:
            inputs = self._weighted(node)
        elif op.output_range is OutputRange.SHARED and quant is not None:
            inputs = tuple(self._shared(name, quant) for name in node.inputs)
        else:
            inputs = self._operands(node)
        for name in node.outputs:
            self._enter(name, quant, op.output_dtype)
        self.nodes.append(Node(node.op, inputs, node.outputs, node.attributes))

    def _operands(self, node: Node) -> tuple[str, ...]:
        return tuple(
            self._resolved(name)
            if not name or self.graph.is_activation(name)
            else self._operand(name)
            for name in node.inputs
        )

    def _shared(self, name: str, quant: QuantParams) -> str:
        """An operand at the one scale that all of a node's inputs and its output have."""
        if not self.graph.is_activation(name):
            tensor = self.graph.tensors[name]
            assert tensor.data is not None
            codes = quantize(tensor.data, quant.scale[0], quant.zero_point[0])
            return self._constant(Tensor(name, codes.shape, INT8, codes, quant))
        source = self._resolved(name)
        if self.tensors[source].quant == quant:
            return source
        fresh = unique_name({**self.graph.tensors, **self.tensors}, f"{source}_requantized")
        self._requantized(source, quant, fresh)
        return fresh

    def _operand(self, name: str) -> str:
        """A constant operand; one that the file leaves in float is quantized to its own range."""
        tensor = self.graph.tensors[name]
        if tensor.quant is None:
            return self._constant(quantize_operand(tensor))
        if tensor.quant.is_per_channel:
            raise Unsupported(f"its constant '{name}' has several scales; TFLite has one")
        codes = _codes(tensor, tensor.quant, None, INT8_MIN, INT8_MAX).astype(np.int8)
        return self._constant(Tensor(name, codes.shape, INT8, codes, tensor.quant))

    def _weighted(self, node: Node) -> tuple[str, ...]:
        names = [self._resolved(node.inputs[0]), node.inputs[1], (*node.inputs, "")[2]]
        if any(name and self.graph.is_activation(name) for name in names[1:]):
            raise Unsupported("its weights are computed by the network; they must be constant")
        axis = operator(node.op).weights_axis
        assert axis is not None
        weights = self._weights(node, names, axis)
        names[1] = self._constant(weights)
        if names[2]:
            assert weights.quant is not None
            scales = np.asarray(weights.quant.scale, np.float64)
            bias = self.graph.tensors[names[2]]
            names[2] = self._constant(_bias(bias, self.tensors[names[0]].scale, scales))
        return tuple(names[: len(node.inputs)])

    def _weights(self, node: Node, names: Sequence[str], axis: int) -> Tensor:
        """The codes of the file's weights; those in float get scales as in a float network."""
        tensor = self.graph.tensors[names[1]]
        quant = tensor.quant
        if quant is None:
            assert tensor.data is not None
            bias = self.graph.tensors[names[2]].data if names[2] else None
            per_channel, input_scale = operator(node.op).per_channel, self.tensors[names[0]].scale
            scales = weight_scales(tensor.data, axis, per_channel, bias, input_scale)
            return quantize_weights(tensor, axis, scales)
        if any(quant.zero_point):
            raise Unsupported(
                f"its weights '{tensor.name}' have a zero point; TFLite's are symmetric",
                "quantize weights symmetrically (int8, zero point 0)",
            )
        if quant.is_per_channel and len(quant.scale) != tensor.shape[axis]:
            raise Unsupported(
                f"its weights '{tensor.name}' have {len(quant.scale)} scales for "
                f"{tensor.shape[axis]} output channels"
            )
        along = axis if quant.is_per_channel else None
        codes = _codes(tensor, quant, along, INT8_MIN, INT8_MAX).astype(np.int8)
        given = QuantParams(quant.scale, quant.zero_point, along)
        return Tensor(tensor.name, codes.shape, INT8, codes, given)

    def _constant(self, tensor: Tensor) -> str:
        """Enter a constant; one that several nodes share in different steps gets a number."""
        name, number = tensor.name, 1
        while name in self.tensors or (number > 1 and name in self.graph.tensors):
            if name in self.tensors and _equal(self.tensors[name], tensor):
                return name
            name, number = f"{tensor.name}_{number}", number + 1
        self.tensors[name] = dataclasses.replace(tensor, name=name)
        return name


def _scales(nodes: Iterable[Node | None]) -> set[QuantParams]:
    """The scales of the marks among some nodes."""
    attributes = (node.attributes for node in nodes if node is not None)
    return {a.quant for a in attributes if isinstance(a, FakeQuantizeAttributes)}


def _only_moves(node: Node) -> bool:
    """Whether a node's outputs hold values of its inputs, so that rounding may come before it."""
    return isinstance(operator(node.op), Move) or node.op in _MOVING


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.data is None or b.data is None or a.quant != b.quant:
        return False
    return np.array_equal(a.data, b.data)


def _codes(tensor: Tensor, quant: QuantParams, axis: int | None, low: int, high: int) -> Array:
    """The integers that a constant was dequantized from."""
    assert tensor.data is not None
    shape = [1] * tensor.data.ndim
    if axis is not None:
        shape[axis] = -1
    steps = tensor.data.astype(np.float64) / np.asarray(quant.scale, np.float64).reshape(shape)
    steps = steps + np.asarray(quant.zero_point, np.float64).reshape(shape)
    codes = round_and_clamp(steps, low, high)
    if np.any(np.abs(steps - codes) > _OFF_GRID):
        raise Unsupported(
            f"its constant '{tensor.name}' is changed after DequantizeLinear",
            "fold scaling and batch normalization before quantizing",
        )
    return codes


def _bias(tensor: Tensor, input_scale: float, scales: Array) -> Tensor:
    """int32 bias in steps of input scale times weight scale.

    A bias in these steps keeps its integers. One in other steps, or in float, is rounded to them:
    they are what the kernels add.
    """
    assert tensor.data is not None
    steps = np.broadcast_to(input_scale * scales, tensor.data.shape)
    if tensor.quant is not None and not any(tensor.quant.zero_point):
        given = np.broadcast_to(np.asarray(tensor.quant.scale, np.float64), tensor.data.shape)
        if np.all(np.abs(given - steps) <= _SAME_SCALE * steps):
            codes = round_and_clamp(tensor.data / given, INT32_MIN, INT32_MAX).astype(np.int32)
            values = tuple(float(np.float32(s)) for s in input_scale * scales)
            axis = 0 if len(values) > 1 else None
            return Tensor(
                tensor.name,
                codes.shape,
                INT32,
                codes,
                QuantParams(values, (0,) * len(values), axis),
            )
    if np.any(np.abs(tensor.data / steps) > MAX_BIAS):
        raise Unsupported(f"its bias '{tensor.name}' leaves int32 at the scale of its sums")
    return quantize_bias(tensor, input_scale, scales)
