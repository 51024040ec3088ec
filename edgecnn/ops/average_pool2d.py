"""Mean over windows of an NHWC image; padding is not counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import divide_round_half_away, saturate_int8
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import (
    Dialect,
    Operator,
    OutputRange,
    activation_limits,
    apply_activation,
)
from edgecnn.pooling import pooling_problem
from edgecnn.windows import (
    Padding,
    Pair,
    Window,
    count_inside,
    extract,
    image_output_shape,
    tflite_padding,
)


@dataclass(frozen=True)
class AveragePool2DAttributes(Attributes):
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
class AveragePool2DParams:
    """Integers of an int8 average pooling."""

    input_shape: Shape
    output_shape: Shape
    window: Window
    activation_min: int
    activation_max: int


class AveragePool2D(Operator[AveragePool2DAttributes, AveragePool2DParams]):
    """Average pooling."""

    attributes = AveragePool2DAttributes
    summary = "any size and stride; padding none or SAME, not counted in the mean"
    fuses_activation = True
    output_range = OutputRange.SAME_AS_INPUT

    def infer_shapes(
        self, attributes: AveragePool2DAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (image_output_shape(shapes[0], attributes.window, shapes[0][3]),)

    def evaluate_float(
        self, attributes: AveragePool2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        count = count_inside(attributes.window, (x.shape[1], x.shape[2]))[None, :, :, None]
        y = extract(x, attributes.window, 0.0).sum(axis=(3, 4)) / count.astype(np.float32)
        return (apply_activation(attributes.activation, y),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> AveragePool2DParams:
        a = node.attributes
        assert isinstance(a, AveragePool2DAttributes)
        output = graph.tensors[node.output]
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        input_shape = graph.tensors[node.inputs[0]].shape
        return AveragePool2DParams(input_shape, output.shape, a.window, low, high)

    def evaluate_int(
        self, params: AveragePool2DParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        x = inputs[0].astype(np.int64)
        count = count_inside(params.window, (x.shape[1], x.shape[2]))[None, :, :, None]
        total = extract(x, params.window, 0).sum(axis=(3, 4))
        mean = divide_round_half_away(total, count)
        return (saturate_int8(mean, params.activation_min, params.activation_max),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, AveragePool2DAttributes)
        height, width = graph.tensors[node.inputs[0]].shape[1:3]
        if tflite_padding(a.window, (height, width)) is None:
            return (
                f"padding {a.padding} (top, bottom, left, right) that the mean does not count "
                "is neither none nor TFLite's SAME"
            )
        return pooling_problem(node, graph, a.window)


OPERATOR = AveragePool2D()
