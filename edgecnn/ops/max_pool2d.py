"""Maximum over windows of an NHWC image; padding never wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import (
    Dialect,
    Operator,
    OutputRange,
    activation_limits,
    apply_activation,
)
from edgecnn.pooling import pooling_problem
from edgecnn.windows import Padding, Pair, Window, extract, image_output_shape


@dataclass(frozen=True)
class MaxPool2DAttributes(Attributes):
    """Size and stride are (height, width); padding is (top, bottom, left, right)."""

    size: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    activation: str = "none"

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.size, self.stride, self.padding)


@dataclass(frozen=True)
class MaxPool2DParams:
    """Integers of an int8 maximum pooling."""

    input_shape: Shape
    output_shape: Shape
    window: Window
    activation_min: int
    activation_max: int


class MaxPool2D(Operator[MaxPool2DAttributes, MaxPool2DParams]):
    """Maximum pooling."""

    attributes = MaxPool2DAttributes
    summary = "any size, stride and padding"
    fuses_activation = True
    output_range = OutputRange.SAME_AS_INPUT

    def infer_shapes(
        self, attributes: MaxPool2DAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (image_output_shape(shapes[0], attributes.window, shapes[0][3]),)

    def evaluate_float(
        self, attributes: MaxPool2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        y = extract(x, attributes.window, -np.inf).max(axis=(3, 4))
        return (apply_activation(attributes.activation, y),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> MaxPool2DParams:
        a = node.attributes
        assert isinstance(a, MaxPool2DAttributes)
        output = graph.tensors[node.output]
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        input_shape = graph.tensors[node.inputs[0]].shape
        return MaxPool2DParams(input_shape, output.shape, a.window, low, high)

    def evaluate_int(self, params: MaxPool2DParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        largest = extract(inputs[0], params.window, INT8_MIN).max(axis=(3, 4))
        return (np.clip(largest, params.activation_min, params.activation_max).astype(np.int8),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, MaxPool2DAttributes)
        return pooling_problem(node, graph, a.window)


OPERATOR = MaxPool2D()
