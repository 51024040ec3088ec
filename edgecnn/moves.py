"""What the operators that only move values have in common: one meaning for floats and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, OutputRange, same_quantization_problem

A = TypeVar("A", bound=Attributes)

#: Dimensions of int16 tensors whose values are moved: their bytes have one more.
MAX_WIDE_RANK = 4


@dataclass(frozen=True, eq=False)
class MoveParams(Generic[A]):
    """Attributes and shapes; ``constants`` holds the inputs that are constant, by position."""

    attributes: A
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    constants: tuple[Array | None, ...]


class Move(Operator[A, MoveParams[A]]):
    """An operator whose outputs hold values of its inputs, unchanged.

    Subclasses define `move` and `infer_shapes`. All inputs and outputs have one scale.
    """

    output_range = OutputRange.SAME_AS_INPUT
    #: Dimensions that TFLite Micro's kernel goes up to.
    max_rank: ClassVar[int] = 4

    def move(self, attributes: A, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Move values of any type; the first dimension may be a larger batch."""
        raise NotImplementedError

    def evaluate_float(self, attributes: A, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        return self.move(attributes, [x for x in inputs if x is not None])

    def is_homogeneous(self, attributes: A) -> bool:
        return True

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> MoveParams[A]:
        attributes = node.attributes
        assert isinstance(attributes, self.attributes)
        return MoveParams(
            attributes,  # type: ignore[arg-type]
            tuple(graph.tensors[name].shape for name in node.inputs),
            tuple(graph.tensors[name].shape for name in node.outputs),
            tuple(graph.constant(name) for name in node.inputs),
        )

    def evaluate_int(self, params: MoveParams[A], inputs: Sequence[Array]) -> tuple[Array, ...]:
        fed = iter(inputs)
        arrays = [next(fed) if data is None else data for data in params.constants]
        return self.move(params.attributes, arrays)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        tensors = [graph.tensors[name] for name in (*node.inputs, *node.outputs)]
        rank = max(len(tensor.shape) for tensor in tensors)
        most = min(self.max_rank, MAX_WIDE_RANK) if graph.is_wide(node) else self.max_rank
        if rank > most:
            return f"it has {rank} dimensions; at most {most} are supported"
        first = tensors[0]
        problems = (same_quantization_problem(first.quant, other.quant) for other in tensors[1:])
        return next((problem for problem in problems if problem is not None), None)
