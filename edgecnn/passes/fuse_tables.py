"""Writes what depends on one tensor alone, value by value, as one table.

``x * sigmoid(x)``, ``x * relu6(x + 3) / 6`` and the like are functions of one variable, however
many operators spell them out: a table computes them in one step, and rounds once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.ir import Graph, Node, prune
from edgecnn.ops.table import Step, TableAttributes

#: Elementwise operators that a table can compose.
_COMPOSABLE = frozenset(
    (
        "add", "hard_swish", "leaky_relu", "maximum", "minimum", "mul", "relu", "relu6", "sigmoid",
        "sub", "table", "tanh",
    )
)  # fmt: skip


@dataclass(frozen=True)
class _Composed:
    """A tensor as a function of ``source``: nodes in execution order, by their output."""

    source: str
    nodes: tuple[Node, ...]


def fuse_tables(graph: Graph) -> Graph:
    """Return an equal graph where chains of functions of one variable are single tables.

    Float graphs only: in an int8 graph each operator rounds to a scale of its own.
    """
    if graph.is_quantized:
        return graph
    composed = _compose(graph)
    nodes = tuple(
        _as_table(graph, node, composed[node.output])
        if node.output in composed and len(composed[node.output].nodes) > 1
        else node
        for node in graph.nodes
    )
    return prune(graph.replace(nodes=nodes))


def _compose(graph: Graph) -> dict[str, _Composed]:
    """What each tensor is a function of. Tensors that others need too are starts of new ones."""
    starts: set[str] = set(graph.outputs)
    while True:
        composed: dict[str, _Composed] = {}
        for node in graph.nodes:
            found = _extended(graph, node, composed, starts)
            if found is not None:
                composed[node.output] = found
        needed = _needed_elsewhere(graph, composed) - starts
        if not needed:
            return composed
        starts |= needed


def _extended(
    graph: Graph, node: Node, composed: Mapping[str, _Composed], starts: set[str]
) -> _Composed | None:
    """The function that a node's output is, or None where it depends on more than one tensor."""
    if node.op not in _COMPOSABLE or not graph.activation_inputs(node):
        return None
    parts = [
        composed[name] if name in composed and name not in starts else _Composed(name, ())
        for name in graph.activation_inputs(node)
    ]
    numbers = [graph.tensors[name] for name in node.inputs if not graph.is_activation(name)]
    shape = graph.tensors[node.output].shape
    sources = {part.source for part in parts}
    if len(sources) > 1 or any(tensor.size > 1 for tensor in numbers):
        return None
    (source,) = sources
    if graph.tensors[source].shape != shape:
        return None
    steps = dict.fromkeys(n for part in parts for n in part.nodes)
    return _Composed(source, (*steps, node))


def _needed_elsewhere(graph: Graph, composed: Mapping[str, _Composed]) -> set[str]:
    """Composed tensors that some node reads which does not compose them further."""
    needed = set()
    for node in graph.nodes:
        inside = {n.output for n in composed[node.output].nodes} if node.output in composed else ()
        needed |= {name for name in node.inputs if name in composed and name not in inside}
    return needed


def _as_table(graph: Graph, node: Node, composed: _Composed) -> Node:
    numbers = {composed.source: 0}
    steps = []
    for position, step in enumerate(composed.nodes, 1):
        operands = tuple(
            numbers[name] if name in numbers else _constant(graph, name) for name in step.inputs
        )
        steps.append(Step(step.op, step.attributes, operands))
        numbers[step.output] = position
    return Node("table", (composed.source,), node.outputs, TableAttributes(steps=tuple(steps)))


def _constant(graph: Graph, name: str) -> float:
    data = graph.constant(name)
    assert data is not None
    return float(data.reshape(-1)[0])
