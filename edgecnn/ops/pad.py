"""A constant border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import quantize
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, OutputRange, same_quantization_problem

#: What TFLite's PAD goes up to for int8.
MAX_RANK = 4


@dataclass(frozen=True)
class PadAttributes(Attributes):
    """``paddings[axis]`` is (before, after); ``value`` is real, -inf for the lowest."""

    paddings: tuple[tuple[int, int], ...]
    value: float = 0.0


@dataclass(frozen=True)
class PadParams:
    """Shape of the input, border of each axis, and the value that fills it."""

    input_shape: Shape
    paddings: tuple[tuple[int, int], ...]
    value: int


class Pad(Operator[PadAttributes, PadParams]):
    """Constant padding."""

    attributes = PadAttributes
    summary = "constant, any axis"
    has_wide_form = True
    output_range = OutputRange.SAME_AS_INPUT

    def is_homogeneous(self, attributes: PadAttributes) -> bool:
        return attributes.value == 0

    def infer_shapes(self, attributes: PadAttributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        sizes = zip(shapes[0], attributes.paddings, strict=True)
        return (tuple(before + n + after for n, (before, after) in sizes),)

    def evaluate_float(
        self, attributes: PadAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (np.pad(x, attributes.paddings, constant_values=np.float32(attributes.value)),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> PadParams:
        a = node.attributes
        assert isinstance(a, PadAttributes)
        x = graph.tensors[node.inputs[0]]
        value = int(quantize(a.value, x.scale, x.zero_point, x.dtype))
        return PadParams(x.shape, a.paddings, value)

    def evaluate_int(self, params: PadParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (np.pad(inputs[0], params.paddings, constant_values=params.value),)

    def keeps_samples_apart(self, attributes: PadAttributes) -> bool:
        return attributes.paddings[0] == (0, 0)

    def permuted(
        self, attributes: PadAttributes, permutation: tuple[int, ...]
    ) -> PadAttributes | None:
        paddings = tuple(attributes.paddings[axis] for axis in np.argsort(permutation))
        return PadAttributes(paddings, attributes.value)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, PadAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if len(x.shape) > MAX_RANK:
            return f"it has {len(x.shape)} dimensions; at most {MAX_RANK} are supported"
        if min(min(pair) for pair in a.paddings) < 0:
            return "it crops (a negative padding)"
        if graph.is_wide(node) and a.value != 0:
            return "it pads int16 with a value other than 0"
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = Pad()
