"""Rectifier with a ceiling that no kernel could fuse: min(max(x, 0), 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import INT32_MAX
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import (
    Dialect,
    Operator,
    OutputRange,
    activation_limits,
    same_quantization_problem,
)


@dataclass(frozen=True)
class Relu6Params:
    """The integers of type ``dtype`` that 0 and 6 stand for."""

    size: int
    activation_min: int
    activation_max: int
    dtype: str = INT8


class Relu6(Operator[Attributes, Relu6Params]):
    """ReLU6."""

    summary = "fused into the layer before it where there is one"
    is_elementwise = True
    has_wide_form = True
    output_range = OutputRange.SAME_AS_INPUT

    def infer_shapes(self, attributes: Attributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: Attributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (np.clip(x, np.float32(0), np.float32(6)),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> Relu6Params:
        x = graph.tensors[node.inputs[0]]
        limits = activation_limits("relu6", x.scale, x.zero_point, x.dtype)
        return Relu6Params(x.size, *limits, x.dtype)

    def evaluate_int(self, params: Relu6Params, inputs: Sequence[Array]) -> tuple[Array, ...]:
        limits = (params.activation_min, params.activation_max)
        return (np.clip(inputs[0], *limits).astype(params.dtype),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if graph.is_wide(node) and x.scale * INT32_MAX < 6:
            return "its scale is so small that 6 is beyond int32"
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = Relu6()
