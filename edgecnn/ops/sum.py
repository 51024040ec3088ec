"""Sum over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import quantize_multiplier, requantize
from edgecnn.ir import Array, Graph, Node, Shape
from edgecnn.operators import Dialect, in_both
from edgecnn.reductions import ReduceAttributes, SummingOperator


@dataclass(frozen=True)
class SumAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


@dataclass(frozen=True, eq=False)
class SumParams:
    """Integers of an int8 sum: the sum, less ``count`` zero points, is rescaled.

    ``reads_unsigned``: the reference kernels of TFLite and LiteRT take int8 for uint8 here,
    going in and coming out (``QuantizedMeanOrSum`` in their ``kernels/reduce.cc``).
    """

    input_shape: Shape
    axes: tuple[int, ...]
    keep_dims: bool
    count: int
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int
    reads_unsigned: bool


class Sum(SummingOperator[SumAttributes, SumParams]):
    """Sum over axes."""

    attributes = SumAttributes
    differences = in_both("it reads the bytes as unsigned")

    def evaluate_float(
        self, attributes: SumAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (x.sum(axis=attributes.axes, keepdims=attributes.keep_dims, dtype=np.float32),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> SumParams:
        a = node.attributes
        assert isinstance(a, SumAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        multiplier, shift = quantize_multiplier(x.scale / output.scale)
        return SumParams(
            input_shape=x.shape,
            axes=a.axes,
            keep_dims=a.keep_dims,
            count=int(np.prod([x.shape[axis] for axis in a.axes])),
            multiplier=multiplier,
            shift=shift,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
            reads_unsigned=dialect is not Dialect.TFLM,
        )

    def evaluate_int(self, params: SumParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        x = inputs[0].view(np.uint8) if p.reads_unsigned else inputs[0]
        total = x.sum(axis=p.axes, keepdims=p.keep_dims, dtype=np.int64)
        acc = total - p.count * p.input_zero_point
        scaling = (acc, p.multiplier, p.shift)
        if not p.reads_unsigned:
            return (requantize(*scaling, p.output_zero_point),)
        # Clamped to 0 … 255, which is -128 … 127 once 128 is taken off; the bits stay.
        shifted = requantize(*scaling, p.output_zero_point - 128)
        return ((shifted.astype(np.int16) + 128).astype(np.uint8).view(np.int8),)


OPERATOR = Sum()
