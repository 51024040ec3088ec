"""The larger or the smaller of two tensors: bytes are compared, so all have one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.binary_operator import BinaryOperator, BinaryParams, operands, shapes_and_constants
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect, OutputRange


class Extremum(BinaryOperator[Attributes, BinaryParams]):
    """Maximum or minimum; subclasses give the function."""

    summary = "with broadcasting; one operand may be constant; all have one scale"
    output_range = OutputRange.SHARED

    def is_homogeneous(self, attributes: Attributes) -> bool:
        """Yes."""
        return True

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> BinaryParams:
        """Shapes and constants are all."""
        return shapes_and_constants(node, graph)

    def evaluate_int(self, params: BinaryParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Compare."""
        zero_point = params.input_zero_points[0]
        return ((self.function(*operands(params, inputs)) + zero_point).astype(np.int8),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """Scales that differ: no runtime rescales."""
        quants = {graph.tensors[name].quant for name in (*node.inputs, node.output)}
        if len(quants) > 1:
            return "its inputs and its output differ in scale or zero point"
        return super().unsupported(node, graph)
