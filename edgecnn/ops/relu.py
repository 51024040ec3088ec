"""Rectifier that no kernel could fuse: max(x, 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT, MAX_WIDE_INPUT
from edgecnn.fixedpoint import code_limits, quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, in_both


@dataclass(frozen=True)
class ReluParams:
    """Integers of a ReLU, which also changes scale; ``dtype`` is int8 or int16."""

    size: int
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int
    dtype: str = INT8


class Relu(Operator[Attributes, ReluParams]):
    """ReLU."""

    summary = "fused into the layer before it where there is one"
    differences = in_both("it divides the scales in float32, not in double")
    is_elementwise = True
    has_wide_form = True

    def is_homogeneous(self, attributes: Attributes) -> bool:
        return True

    def infer_shapes(self, attributes: Attributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: Attributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (np.maximum(x, np.float32(0)),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ReluParams:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        ratio = x.scale / output.scale
        if dialect is not Dialect.TFLM:
            # TFLite divides in float32 (ReluPrepare), TFLite Micro in double.
            ratio = float(np.float32(x.scale) / np.float32(output.scale))
        multiplier, shift = quantize_multiplier(ratio)
        zero_points = (x.zero_point, output.zero_point)
        return ReluParams(x.size, multiplier, shift, *zero_points, output.dtype)

    def evaluate_int(self, params: ReluParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        x = inputs[0].astype(np.int64) - params.input_zero_point
        zero, (_, highest) = params.output_zero_point, code_limits(params.dtype)
        limits = (zero, zero, highest)
        return (requantize(x, params.multiplier, params.shift, *limits, params.dtype),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if graph.tensors[node.output].quant is None:
            return None
        shift = self.lower(node, graph, Dialect.TFLM).shift
        if scaling_overflows(MAX_WIDE_INPUT if graph.is_wide(node) else MAX_OFFSET_INPUT, shift):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Relu()
