"""Builds small int8 graphs by hand, with weights and biases as given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgecnn import verify
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, QuantParams, Shape, Tensor
from edgecnn.operators import OutputRange, operator
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.windows import Padding

#: Scale and zero point of activations where none is given.
SCALE, ZERO_POINT = 0.05, -3
#: Scale of weights: an accumulator in steps of SCALE * WEIGHT_SCALE is 100 times finer than SCALE.
WEIGHT_SCALE = 0.01


class Int8Sketch:
    """An int8 graph that grows node by node; tensors are called by their number."""

    def __init__(self, *shape: int, zero_point: int = ZERO_POINT) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.x = self._tensor("x", shape, QuantParams.per_tensor(SCALE, zero_point))

    def _tensor(
        self, name: str, shape: Shape, quant: QuantParams | None, data: Array | None = None
    ) -> str:
        dtype = INT8 if data is None else data.dtype.name
        self.tensors[name] = Tensor(name, shape, dtype, data, quant)
        return name

    def shape(self, name: str) -> Shape:
        return self.tensors[name].shape

    def constant(self, data: ArrayLike, scale: float = SCALE, zero_point: int = 0) -> str:
        array = np.asarray(data, np.int8)
        quant = QuantParams.per_tensor(scale, zero_point)
        return self._tensor(f"c{len(self.tensors)}", array.shape, quant, array)

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        attributes: Attributes | None = None,
        quant: QuantParams | None = None,
    ) -> str:
        """Append a node of one output."""
        return self.emit_many(op, inputs, attributes, quant)[0]

    def emit_many(
        self,
        op: str,
        inputs: Sequence[str],
        attributes: Attributes | None = None,
        quant: QuantParams | None = None,
    ) -> list[str]:
        """Append a node."""
        meaning = operator(op)
        attributes = Attributes() if attributes is None else attributes
        if meaning.output_range in (OutputRange.SAME_AS_INPUT, OutputRange.SHARED):
            quant = self.tensors[inputs[0]].quant
        quant = meaning.fixed_output or quant or QuantParams.per_tensor(SCALE, ZERO_POINT)
        shapes = meaning.infer_shapes(
            attributes, [self.tensors[name].shape if name else () for name in inputs]
        )
        names = [f"{op}{len(self.nodes)}{'abc'[i] if i else ''}" for i in range(len(shapes))]
        for name, shape in zip(names, shapes, strict=True):
            self._tensor(name, shape, quant)
        self.nodes.append(Node(op, tuple(inputs), tuple(names), attributes))
        return names

    def _weighted(
        self,
        op: str,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None,
        attributes: Attributes,
        quant: QuantParams | None,
        weights_zero_point: int,
    ) -> str:
        data = np.asarray(weights, np.int8)
        axis = operator(op).weights_axis
        assert axis is not None
        count = data.shape[axis]
        if weights_zero_point or count == 1:
            scales = QuantParams.per_tensor(WEIGHT_SCALE, weights_zero_point)
        else:
            steps = tuple(float(np.float32(WEIGHT_SCALE * (1 + i / count))) for i in range(count))
            scales = QuantParams(steps, (0,) * count, axis)
        inputs = [x, self._tensor(f"w{len(self.tensors)}", data.shape, scales, data)]
        if bias is not None:
            values = np.asarray(bias, np.int32)
            inputs.append(self._tensor(f"b{len(self.tensors)}", values.shape, None, values))
        return self.emit(op, inputs, attributes, quant)

    def conv(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        padding: Padding = (0, 0, 0, 0),
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: str = "none",
        quant: QuantParams | None = None,
    ) -> str:
        """A convolution with weights (O, KH, KW, C / groups), or (O, C) for one pixel."""
        weights = np.asarray(weights, np.int8)
        weights = weights[:, None, None] if weights.ndim == 2 else weights
        a = Conv2DAttributes(
            (stride, stride), padding, (dilation, dilation), groups, activation=activation
        )
        return self._weighted("conv2d", x, weights, bias, a, quant, 0)

    def depthwise(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        padding: Padding = (0, 0, 0, 0),
        stride: int = 1,
        activation: str = "none",
        quant: QuantParams | None = None,
    ) -> str:
        """A depthwise convolution with weights (1, KH, KW, C * M)."""
        a = DepthwiseConv2DAttributes((stride, stride), padding, activation=activation)
        return self._weighted("depthwise_conv2d", x, weights, bias, a, quant, 0)

    def dense(
        self,
        x: str,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        activation: str = "none",
        keep_dims: bool = False,
        weights_zero_point: int = 0,
        quant: QuantParams | None = None,
    ) -> str:
        """A fully connected layer with weights (O, K)."""
        a = FullyConnectedAttributes(activation, keep_dims)
        return self._weighted("fully_connected", x, weights, bias, a, quant, weights_zero_point)

    def graph(self, *outputs: str) -> Graph:
        """The graph, checked."""
        graph = Graph("sketch", tuple(self.nodes), self.tensors, (self.x,), outputs)
        verify.check(graph)
        return graph
