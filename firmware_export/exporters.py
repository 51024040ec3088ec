"""What the exporter of one operator gives: a TFLite operator and a call of a C kernel.

Each module of ``firmware_export/ops`` holds one `Exporter` named ``EXPORTER``, found by its
stem like everything else that belongs to an operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from edgecnn.errors import InvariantError
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import Dialect, discover, operator

if TYPE_CHECKING:
    from firmware_export.tflite_writer import TfliteWriter

P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class CArray:
    """A constant array of the weights file: integer data, and what its axes are.

    ``padding_bytes`` of them fill it up, to whole blocks for instance, and carry no information.
    """

    data: Array
    layout: str
    padding_bytes: int = 0


FieldValue = int | Sequence[int] | Sequence[Sequence[int]] | CArray


@dataclass(frozen=True)
class Distance:
    """How many bytes below an input an output has to begin to be written over it as it is read.

    Further below does as well, unless the distance ``is_exact``.
    """

    bytes: int
    is_exact: bool = False


@dataclass(frozen=True, eq=False)
class CLayer:
    """One call ``edgecnn_<kernel>(&params, inputs…, scratch, output)``.

    ``fields`` initialize the kernel's parameter struct, in any order. ``constants`` replace
    activation inputs by arrays, by position. ``scratch_bytes`` of working memory are passed
    where they are more than 0 or ``takes_scratch`` is set. With a ``shape`` the kernel takes a
    second struct, ``edgecnn_<kernel>(&shape, &params, …)``, and is compiled once for each shape
    that a network has, with all that is in it as constants; or once for all shapes if it
    ``is_shared``. A call may compute nodes before its own on the way, whose first outputs are
    ``inside``, in execution order: it takes their inputs, and they have no call and no storage.
    ``overlaps`` has the inputs, by position, that the first output may be written over.
    """

    kernel: str
    fields: Mapping[str, FieldValue]
    shape: Mapping[str, FieldValue] = field(default_factory=dict)
    is_shared: bool = False
    constants: Mapping[int, CArray] = field(default_factory=dict)
    scratch_bytes: int = 0
    takes_scratch: bool = False
    #: Tensors are passed as bytes, whatever their type.
    is_bytewise: bool = False
    #: Inputs, or outputs, are passed as one array of pointers.
    joins_inputs: bool = False
    joins_outputs: bool = False
    inside: tuple[str, ...] = ()
    overlaps: Mapping[int, Distance] = field(default_factory=dict)


class Exporter(Generic[P]):
    """Writes one operator of an int8 graph."""

    #: Version of the TFLite operator that introduced what is written, in int8 and in int16.
    version: ClassVar[int] = 1
    wide_version: ClassVar[int] = 1
    #: Stem of the kernel where it is another operator's; "" is the operator's own.
    kernel: ClassVar[str] = ""

    def version_of(self, node: Node, graph: Graph) -> int:
        """The version for a node's types."""
        return self.wide_version if graph.is_wide(node) else self.version

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        """Append the operator, and what it needs before it, to a ``.tflite`` file."""
        raise NotImplementedError

    def layer(self, node: Node, graph: Graph, params: P) -> CLayer:
        """The C call that computes the node. Views have none and are never asked."""
        raise NotImplementedError


def portable_call(node: Node, graph: Graph) -> CLayer | None:
    """The call that computes a node of an int8 graph on any core; views have none."""
    if operator(node.op).is_view:
        return None
    params = operator(node.op).lower(node, graph, Dialect.TFLM)
    return exporter(node.op).layer(node, graph, params)


def portable_calls(graph: Graph) -> dict[int, CLayer]:
    """The calls of an int8 graph on any core, by step."""
    found = {step: portable_call(node, graph) for step, node in enumerate(graph.nodes)}
    return {step: layer for step, layer in found.items() if layer}


def exporter(op: str) -> Exporter[Any]:
    """The exporter of an operator."""
    table = cast("dict[str, Exporter[Any]]", discover("firmware_export.ops", "EXPORTER"))
    if op not in table:
        raise InvariantError(f"operator '{op}' has no exporter")
    return table[op]
