"""What convolution and depthwise convolution have in common: filters in a window over an image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

from edgecnn.accumulate import folded_bias, output_multipliers, sum_dtype, weights_problem
from edgecnn.ir import INT8, INT32, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Operator, activation_limits, apply_activation
from edgecnn.windows import Padding, Pair, RowWindow, Window, image_output_shape


@dataclass(frozen=True)
class ConvolutionAttributes(Attributes):
    """Stride and dilation are (height, width); padding is (top, bottom, left, right)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    activation: str = field(default="none", kw_only=True)


@dataclass(frozen=True, eq=False)
class ConvolutionParams:
    """Integers of an int8 convolution, or of a wide one, whose ``dtype`` is int16.

    ``bias`` has the input zero point folded in; padding is the zero point. ``sums`` is the type
    of the accumulators, see `edgecnn.accumulate.Accumulated`.
    """

    input_shape: Shape
    output_shape: Shape
    weights: Array
    bias: Array
    multiplier: Array
    shift: Array
    stride: Pair
    padding: Padding
    dilation: Pair
    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int
    dtype: str = field(default=INT8, kw_only=True)
    sums: str = field(default=INT32, kw_only=True)


A = TypeVar("A", bound=ConvolutionAttributes)
P = TypeVar("P", bound=ConvolutionParams)


def window_of(a: ConvolutionAttributes | ConvolutionParams, weights_shape: Shape) -> Window:
    """The sliding window of a convolution with weights (…, KH, KW, …)."""
    return Window((weights_shape[1], weights_shape[2]), a.stride, a.padding, a.dilation)


class ConvolutionOperator(Operator[A, P], Generic[A, P]):
    """A convolution; subclasses say how filters and channels go together.

    Inputs: image (N, H, W, C), weights of four axes, of which ``weights_axis`` is that of the
    output channels, bias or absent.
    """

    fuses_activation: ClassVar[bool] = True
    per_channel: ClassVar[bool] = True
    has_wide_form: ClassVar[bool] = True

    @property
    def _channel_axis(self) -> int:
        assert self.weights_axis is not None
        return self.weights_axis

    @abstractmethod
    def correlate(self, a: A | P, x: Array, weights: Array, fill: float) -> Array:
        """Sums of products of an image, padded with ``fill``, in the arrays' common type."""

    def infer_shapes(self, attributes: A, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """A position of the window each; a channel for each filter."""
        image, weights = shapes[0], shapes[1]
        channels = weights[self._channel_axis]
        return (image_output_shape(image, window_of(attributes, weights), channels),)

    def evaluate_float(self, attributes: A, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """`correlate`, the bias, and the fused activation."""
        x, weights, bias = inputs
        assert x is not None
        assert weights is not None
        y = self.correlate(attributes, x, weights, 0.0)
        return (apply_activation(attributes.activation, y if bias is None else y + bias),)

    def lowered(self, node: Node, graph: Graph) -> ConvolutionParams:
        """The integers that every convolution has."""
        a = node.attributes
        assert isinstance(a, ConvolutionAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights = graph.constant(node.inputs[1])
        assert weights is not None
        axis = self._channel_axis
        multiplier, shift = output_multipliers(graph, node, weights.shape[axis])
        low, high = activation_limits(a.activation, output.scale, output.zero_point, output.dtype)
        return ConvolutionParams(
            input_shape=x.shape,
            output_shape=output.shape,
            weights=weights,
            bias=folded_bias(graph, node, channel_axis=axis),
            multiplier=multiplier,
            shift=shift,
            stride=a.stride,
            padding=a.padding,
            dilation=a.dilation,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
            dtype=output.dtype,
            sums=sum_dtype(graph, node),
        )

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """The rows under the window; those outside of the image hold its zero point."""
        a = node.attributes
        assert isinstance(a, ConvolutionAttributes)
        window = window_of(a, graph.tensors[node.inputs[1]].shape)
        above, _, left, right = a.padding
        return RowWindow(
            replace(a, padding=(0, 0, left, right)),
            window.extent[0],
            window.stride[0],
            above,
            graph.tensors[node.inputs[0]].zero_point,
        )

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """What `weights_problem` finds."""
        return weights_problem(graph, node, channel_axis=self._channel_axis)
