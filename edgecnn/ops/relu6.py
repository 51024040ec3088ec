"""Rectifier with a ceiling that no kernel could fuse: min(max(x, 0), 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import (
    Dialect,
    Operator,
    OutputRange,
    activation_limits,
    same_quantization_problem,
)


@dataclass(frozen=True)
class Relu6Params:
    """The bytes that 0 and 6 stand for."""

    size: int
    activation_min: int
    activation_max: int


class Relu6(Operator[Attributes, Relu6Params]):
    """ReLU6."""

    summary = "fused into the layer before it where there is one"
    is_elementwise = True
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
        return Relu6Params(x.size, *activation_limits("relu6", x.scale, x.zero_point))

    def evaluate_int(self, params: Relu6Params, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (np.clip(inputs[0], params.activation_min, params.activation_max).astype(np.int8),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = Relu6()
