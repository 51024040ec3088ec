"""Mean over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import code_limits, quantize_multiplier, requantize
from edgecnn.ir import INT8, Array, Graph, Node, Shape
from edgecnn.operators import Dialect
from edgecnn.reductions import ReduceAttributes, SummingOperator


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
    dtype: str = INT8


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Multiplier and shift that also divide by ``count``.

    As TFLite's ``QuantizedMeanOrSum``: the multiplier is shifted up by the whole bits of the
    count (at most 32, and not past a total right shift of 31) and divided, truncating.
    """
    multiplier, shift = quantize_multiplier(real)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


class Mean(SummingOperator[MeanAttributes, MeanParams]):
    """Mean over axes."""

    attributes = MeanAttributes
    has_wide_form = True

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
            dtype=output.dtype,
        )

    def evaluate_int(self, params: MeanParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        total = inputs[0].sum(axis=params.axes, keepdims=params.keep_dims, dtype=np.int64)
        acc = total - params.count * params.input_zero_point
        scaling = (params.multiplier, params.shift, params.output_zero_point)
        return (requantize(acc, *scaling, *code_limits(params.dtype), params.dtype),)


OPERATOR = Mean()
