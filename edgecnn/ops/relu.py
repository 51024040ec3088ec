"""Rectifier that no kernel could fuse: max(x, 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import INT8_MAX, quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, in_both


@dataclass(frozen=True)
class ReluParams:
    """Integers of an int8 ReLU, which also changes scale."""

    size: int
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int


class Relu(Operator[Attributes, ReluParams]):
    """ReLU."""

    summary = "fused into the layer before it where there is one"
    differences = in_both("it divides the scales in float32, not in double")
    is_elementwise = True

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
        return ReluParams(x.size, multiplier, shift, x.zero_point, output.zero_point)

    def evaluate_int(self, params: ReluParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        x = inputs[0].astype(np.int64) - params.input_zero_point
        zero = params.output_zero_point
        return (requantize(x, params.multiplier, params.shift, zero, zero, INT8_MAX),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if graph.tensors[node.output].quant is None:
            return None
        shift = self.lower(node, graph, Dialect.TFLM).shift
        if scaling_overflows(MAX_OFFSET_INPUT, shift):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Relu()
