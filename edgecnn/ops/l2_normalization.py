"""Vectors along the last axis, divided by their Euclidean length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import (
    INT32_MAX,
    inverse_square_root,
    multiply_by_quantized_multiplier,
    saturate_int8,
)
from edgecnn.ir import Array, Attributes, Graph, Node, QuantParams, Shape
from edgecnn.operators import Dialect, Operator, OutputRange

MAX_RANK = 4
#: Values whose squares are sure to add up to an int32.
MAX_DEPTH = INT32_MAX // MAX_OFFSET_INPUT**2
#: The output is in steps of 2**-7.
OUTPUT_FRACTION_BITS = 7


@dataclass(frozen=True)
class L2NormalizationParams:
    """Rows of ``depth`` values; the input's scale cancels."""

    rows: int
    depth: int
    input_zero_point: int


class L2Normalization(Operator[Attributes, L2NormalizationParams]):
    """L2 normalization."""

    summary = "over the last axis; output scale 1/128, zero point 0"
    output_range = OutputRange.FIXED
    fixed_output = QuantParams.per_tensor(1 / 128, 0)

    def infer_shapes(self, attributes: Attributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: Attributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        length = np.sqrt(np.square(x.astype(np.float64)).sum(axis=-1, keepdims=True))
        return ((x / np.maximum(length, 1e-12)).astype(np.float32),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> L2NormalizationParams:
        x = graph.tensors[node.inputs[0]]
        return L2NormalizationParams(x.size // x.shape[-1], x.shape[-1], x.zero_point)

    def evaluate_int(
        self, params: L2NormalizationParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        """Compute TFLite's ``integer_ops/l2normalization.h``."""
        x = inputs[0].astype(np.int64) - params.input_zero_point
        multiplier, shift = inverse_square_root(np.square(x).sum(axis=-1, keepdims=True))
        scaled = multiply_by_quantized_multiplier(x, multiplier, shift + OUTPUT_FRACTION_BITS)
        return (saturate_int8(scaled),)

    def permuted(self, attributes: Attributes, permutation: tuple[int, ...]) -> Attributes | None:
        return attributes if permutation[-1] == len(permutation) - 1 else None

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if len(x.shape) > MAX_RANK:
            return f"it has {len(x.shape)} dimensions; at most {MAX_RANK} are supported"
        if x.shape[-1] > MAX_DEPTH:
            return f"it runs over {x.shape[-1]} values; at most {MAX_DEPTH} are supported"
        if output.quant is not None and output.quant != self.fixed_output:
            return "its output scale is not 1/128 with zero point 0"
        return None


OPERATOR = L2Normalization()
