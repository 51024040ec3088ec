"""Mean over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import INT32_MAX, quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import Array, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator
from edgecnn.reductions import ReduceAttributes, reduced_shape

MAX_RANK = 4
#: Values whose sum, less as many zero points, is sure to fit int32.
MAX_SUMMED = INT32_MAX // MAX_OFFSET_INPUT


class MeanAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


@dataclass(frozen=True, eq=False)
class MeanParams:
    """Integers of an int8 mean: the sum, less ``count`` zero points, is rescaled."""

    input_shape: Shape
    axes: tuple[int, ...]
    keep_dims: bool
    count: int
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Multiplier and shift that also divide by ``count``.

    As TFLite's ``QuantizedMeanOrSum``: the multiplier is shifted up by the whole bits of the
    count (at most 32, and not past a total right shift of 31) and divided, truncating.
    """
    multiplier, shift = quantize_multiplier(real)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


class Mean(Operator[MeanAttributes, MeanParams]):
    """Mean over axes."""

    attributes = MeanAttributes
    summary = "over any axes"

    def infer_shapes(
        self, attributes: MeanAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (reduced_shape(attributes, shapes[0]),)

    def evaluate_float(
        self, attributes: MeanAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (x.mean(axis=attributes.axes, keepdims=attributes.keep_dims, dtype=np.float32),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> MeanParams:
        a = node.attributes
        assert isinstance(a, MeanAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        count = int(np.prod([x.shape[axis] for axis in a.axes]))
        multiplier, shift = mean_multiplier(x.scale / output.scale, count)
        return MeanParams(
            input_shape=x.shape,
            axes=a.axes,
            keep_dims=a.keep_dims,
            count=count,
            multiplier=multiplier,
            shift=shift,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
        )

    def evaluate_int(self, params: MeanParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        total = inputs[0].sum(axis=params.axes, keepdims=params.keep_dims, dtype=np.int64)
        acc = total - params.count * params.input_zero_point
        return (requantize(acc, params.multiplier, params.shift, params.output_zero_point),)

    def keeps_samples_apart(self, attributes: MeanAttributes) -> bool:
        return 0 not in attributes.axes

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, MeanAttributes)
        shape = graph.tensors[node.inputs[0]].shape
        if len(shape) > MAX_RANK:
            return f"it has {len(shape)} dimensions; at most {MAX_RANK} are supported"
        if np.prod([shape[axis] for axis in a.axes], dtype=np.int64) > MAX_SUMMED:
            return "it sums so many values that int32 can overflow"
        if graph.tensors[node.output].quant is None:
            return None
        params = self.lower(node, graph, Dialect.TFLM)
        if scaling_overflows(params.count * MAX_OFFSET_INPUT, params.shift):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Mean()
