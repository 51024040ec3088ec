"""What the pooling operators have in common: a window over an NHWC image, and a clamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np

from edgecnn.ir import INT8, Attributes, Graph, Node, Shape
from edgecnn.operators import (
    Dialect,
    Operator,
    OutputRange,
    activation_limits,
    same_quantization_problem,
)
from edgecnn.windows import Padding, Pair, RowWindow, Window, count_inside, image_output_shape

A = TypeVar("A", bound="PoolAttributes")


@dataclass(frozen=True)
class PoolAttributes(Attributes):
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
class PoolParams:
    """Integers of a pooling; ``dtype`` is the type of its values, int8 or int16."""

    input_shape: Shape
    output_shape: Shape
    window: Window
    activation_min: int
    activation_max: int
    dtype: str = INT8


class PoolOperator(Operator[A, PoolParams]):
    """A pooling; subclasses give the function of a window, in float and in integers."""

    fuses_activation: ClassVar[bool] = True
    has_wide_form: ClassVar[bool] = True
    output_range: ClassVar[OutputRange] = OutputRange.SAME_AS_INPUT

    def infer_shapes(self, attributes: A, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """A position of the window each; the channels stay."""
        return (image_output_shape(shapes[0], attributes.window, shapes[0][3]),)

    #: The byte that counts as nothing in a window; None where there is no such byte.
    neutral: ClassVar[int | None] = None

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """The rows under the window."""
        a = node.attributes
        assert isinstance(a, PoolAttributes)
        above, _, left, right = a.padding
        attributes = replace(a, padding=(0, 0, left, right))
        return RowWindow(attributes, a.size[0], a.stride[0], above, self.neutral)

    def is_homogeneous(self, attributes: A) -> bool:
        """Yes."""
        return True

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> PoolParams:
        """The window, and the limits of the fused activation."""
        a = node.attributes
        assert isinstance(a, PoolAttributes)
        output = graph.tensors[node.output]
        low, high = activation_limits(a.activation, output.scale, output.zero_point, output.dtype)
        input_shape = graph.tensors[node.inputs[0]].shape
        return PoolParams(input_shape, output.shape, a.window, low, high, output.dtype)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """The batch must be 1; a window wholly in the padding has no maximum and no mean."""
        a = node.attributes
        assert isinstance(a, PoolAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if x.shape[0] != 1:
            return f"its batch is {x.shape[0]}; it must be 1"
        if np.any(count_inside(a.window, (x.shape[1], x.shape[2])) == 0):
            return "one of its windows lies wholly in the padding"
        return same_quantization_problem(x.quant, output.quant)
