"""Index of the largest value along an axis, the first of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import INT32, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator


@dataclass(frozen=True)
class ArgmaxAttributes(Attributes):
    """The axis, non-negative; the output does not have it."""

    axis: int


@dataclass(frozen=True)
class ArgmaxParams:
    """The input as (outer, depth, inner); the middle axis is searched."""

    axis: int
    outer: int
    depth: int
    inner: int


class Argmax(Operator[ArgmaxAttributes, ArgmaxParams]):
    """Argmax."""

    attributes = ArgmaxAttributes
    summary = "over one axis, as the network's last operator; the output is int32"
    output_dtype = INT32

    def infer_shapes(
        self, attributes: ArgmaxAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (shape,) = shapes
        if not 0 <= attributes.axis < len(shape):
            raise ValueError(f"axis {attributes.axis} is not one of {len(shape)}")
        return (shape[: attributes.axis] + shape[attributes.axis + 1 :],)

    def evaluate_float(
        self, attributes: ArgmaxAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (x.argmax(axis=attributes.axis).astype(np.float32),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ArgmaxParams:
        a = node.attributes
        assert isinstance(a, ArgmaxAttributes)
        shape = graph.tensors[node.inputs[0]].shape
        outer, inner = (
            int(np.prod(part, dtype=np.int64)) for part in (shape[: a.axis], shape[a.axis + 1 :])
        )
        return ArgmaxParams(a.axis, outer, shape[a.axis], inner)

    def evaluate_int(self, params: ArgmaxParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].argmax(axis=params.axis).astype(np.int32),)

    def keeps_samples_apart(self, attributes: ArgmaxAttributes) -> bool:
        return attributes.axis != 0

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        readers = graph.consumers()[node.output]
        if readers:
            return f"its indices are read by {readers[0].op}; it can only be the last operator"
        return None


OPERATOR = Argmax()
