"""The same values with the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.moves import MAX_WIDE_RANK
from edgecnn.operators import Dialect, Operator, OutputRange, same_quantization_problem

#: What TFLite Micro's TRANSPOSE goes up to.
MAX_RANK = 5


@dataclass(frozen=True)
class TransposeAttributes(Attributes):
    """Axis i of the output is axis ``permutation[i]`` of the input."""

    permutation: tuple[int, ...]


@dataclass(frozen=True)
class TransposeParams:
    """Shape of the input and order of its axes."""

    input_shape: Shape
    permutation: tuple[int, ...]


class Transpose(Operator[TransposeAttributes, TransposeParams]):
    """Transpose."""

    attributes = TransposeAttributes
    summary = "where the passes cannot remove it"
    has_wide_form = True
    output_range = OutputRange.SAME_AS_INPUT

    def is_homogeneous(self, attributes: TransposeAttributes) -> bool:
        return True

    def infer_shapes(
        self, attributes: TransposeAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        if sorted(attributes.permutation) != list(range(len(shapes[0]))):
            raise ValueError(f"{attributes.permutation} is no order of its axes")
        return (tuple(shapes[0][axis] for axis in attributes.permutation),)

    def evaluate_float(
        self, attributes: TransposeAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (x.transpose(attributes.permutation),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> TransposeParams:
        a = node.attributes
        assert isinstance(a, TransposeAttributes)
        return TransposeParams(graph.tensors[node.inputs[0]].shape, a.permutation)

    def evaluate_int(self, params: TransposeParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].transpose(params.permutation),)

    def keeps_samples_apart(self, attributes: TransposeAttributes) -> bool:
        return attributes.permutation[0] == 0

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        most = MAX_WIDE_RANK if graph.is_wide(node) else MAX_RANK
        if len(x.shape) > most:
            return f"it has {len(x.shape)} dimensions; at most {most} are supported"
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = Transpose()
