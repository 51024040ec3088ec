"""Decides what of a network is rounded while it is trained: exactly what the exporter rounds.

Two graphs are made of one program. ``graph`` is laid out as the exported network is but computes
what the module computes, batch normalization and all; it is what runs. ``exported`` has been
through every pass: the tensors that are left in it are those that become int8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.errors import InvariantError
from edgecnn.ir import INT8, Graph, Node, QuantParams
from edgecnn.operators import OutputRange, operator
from edgecnn.qat.provenance import Imported
from edgecnn.quantization.sharing import SharedRange, Sharing

#: What the passes let a layer take over: the constant behind it, and what clamps its output.
_AFFINE = ("add", "batch_norm")
_CLAMPS = ("relu", "relu6")
_MOVES = ("transpose", "reshape")


@dataclass(frozen=True)
class Layer:
    """A node with weights, and the nodes behind it that are folded into them.

    ``input_row`` is the range of its input, by which its bias is rounded.
    """

    node: Node
    affine: tuple[Node, ...]
    input_row: int

    @property
    def norms(self) -> tuple[Node, ...]:
        """The batch normalizations that are folded."""
        nodes = (self.node, *self.affine)
        return tuple(node for node in nodes if node.op == "batch_norm")


@dataclass(frozen=True)
class Row:
    """Tensors that share one range; ``fixed`` is set where an operator fixes it.

    ``members`` are the tensors that are observed; ``constants`` lie within the range too.
    """

    members: tuple[str, ...]
    constants: tuple[str, ...]
    fixed: QuantParams | None


@dataclass(frozen=True, eq=False)
class Plan:
    """What is rounded where.

    ``rows`` are the ranges, ``row_of`` says which one a tensor of ``graph`` is rounded to, and
    ``exported_rows`` which one a tensor of ``exported`` has. All else is found by the output of a
    node: ``layers``; the layer that a node is ``folded`` into; in ``operands`` the positions of
    constants that are rounded to a range of their own, in ``rescaled`` those of inputs that are
    requantized.
    """

    graph: Graph
    exported: Graph
    rows: tuple[Row, ...]
    row_of: Mapping[str, int]
    exported_rows: Mapping[str, int]
    layers: Mapping[str, Layer]
    folded: Mapping[str, str]
    operands: Mapping[str, tuple[int, ...]]
    rescaled: Mapping[str, tuple[int, ...]]


def make_plan(program: Imported, exported: Graph) -> Plan:
    """Match the graph that runs with the one that is exported."""
    return _Planner(program, exported).run()


def _has_weights(node: Node) -> bool:
    """Whether the exporter makes a layer with weights of a node."""
    return node.op == "batch_norm" or operator(node.op).weights_axis is not None


class _Planner:
    """Matches nodes and tensors of both graphs."""

    def __init__(self, program: Imported, exported: Graph) -> None:
        self.graph = program.graph
        self.exported = exported
        self.left = exported.producers()
        self.consumers = self.graph.consumers()
        self.sharing = Sharing(exported)
        self.numbers: dict[int, int] = {}
        self.shared: list[SharedRange] = []
        self.layers: dict[str, Layer] = {}
        self.folded: dict[str, str] = {}
        self.operands: dict[str, tuple[int, ...]] = {}
        self.rescaled: dict[str, tuple[int, ...]] = {}
        self.joined: dict[int, list[str]] = {}
        for name in self._int8(exported):
            found = self.sharing.ranged(name)
            if id(found) not in self.numbers:
                self.numbers[id(found)] = len(self.shared)
                self.shared.append(found)

    @staticmethod
    def _int8(graph: Graph) -> list[str]:
        producers = graph.producers()
        return [
            name
            for name in graph.activations()
            if name not in producers or operator(producers[name].op).output_dtype == INT8
        ]

    def row(self, name: str) -> int:
        """The number of the range of a tensor of the exported graph."""
        return self.numbers[id(self.sharing.ranged(name))]

    def run(self) -> Plan:
        names = set(self._int8(self.exported))
        row_of = {name: self.row(name) for name in self._int8(self.graph) if name in names}
        for node in self.graph.nodes:
            if node.output not in self.folded:
                self._visit(node)
        rows = tuple(
            Row(
                tuple(self._observed(shared, row_of, number)),
                tuple(self.joined.get(number, ())),
                shared.fixed,
            )
            for number, shared in enumerate(self.shared)
        )
        self._check(rows, row_of)
        return Plan(
            self.graph,
            self.exported,
            rows,
            row_of,
            {name: self.row(name) for name in names},
            self.layers,
            self.folded,
            self.operands,
            self.rescaled,
        )

    def _visit(self, node: Node) -> None:
        """Note what the exporter makes of a node, if it leaves one."""
        final, affine = self._exported(node)
        if final is None:
            return
        if _has_weights(node):
            self.layers[node.output] = Layer(node, affine, self.row(final.inputs[0]))
            self.folded.update({other.output: node.output for other in affine})
        elif final.op == node.op:
            constants = [i for i, n in enumerate(node.inputs) if not self._is_computed(n)]
            if operator(node.op).output_range is OutputRange.SHARED:
                joined = self.joined.setdefault(self.row(final.output), [])
                joined += [node.inputs[i] for i in constants]
            elif constants:
                self.operands[node.output] = tuple(constants)
            if self.sharing.rescaled(final):
                self.rescaled[node.output] = self.sharing.rescaled(final)

    def _observed(self, shared: SharedRange, row_of: Mapping[str, int], number: int) -> list[str]:
        """Tensors of the graph that runs whose values the range spans."""
        computed = [name for name in shared.activations if name in row_of]
        if len(computed) == len(shared.activations):
            return computed
        return [name for name, row in row_of.items() if row == number]

    def _check(self, rows: tuple[Row, ...], row_of: Mapping[str, int]) -> None:
        for name in row_of:
            found, wanted = self.graph.tensors[name].shape, self.exported.tensors[name].shape
            if found != wanted:
                raise InvariantError(f"'{name}' is trained as {found}, exported as {wanted}")
        for row, shared in zip(rows, self.shared, strict=True):
            if row.fixed is None and not row.members:
                raise InvariantError(f"no tensor of the trained graph is {shared.activations}")

    def _is_computed(self, name: str) -> bool:
        return not name or self.graph.is_activation(name)

    def _exported(self, node: Node) -> tuple[Node | None, tuple[Node, ...]]:
        """The exported node that computes a node, and the affine nodes between it and its end."""
        affine: list[Node] = []
        name = node.output
        while name not in self.left:
            readers = self.consumers[name]
            if len(readers) != 1:
                return None, ()
            (reader,) = readers
            if reader.op in _AFFINE and _has_weights(node):
                affine.append(reader)
            elif reader.op not in (*_CLAMPS, *_MOVES):
                return None, ()
            name = reader.output
        final = self.left[name]
        while final.op == "reshape" and node.op == "batch_norm":
            final = self.left[final.inputs[0]]  # a vector that is scaled as an image
        return final, tuple(affine)
