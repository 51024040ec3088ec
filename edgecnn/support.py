"""Says which operators of a graph cannot be exported exactly, all at once."""

from __future__ import annotations

from edgecnn.errors import Problem, UnsupportedError
from edgecnn.ir import Graph
from edgecnn.operators import operator


def problems(graph: Graph) -> tuple[Problem, ...]:
    """Every node that cannot be exported, in execution order."""
    found = []
    for node in graph.nodes:
        reason = operator(node.op).unsupported(node, graph)
        if reason is not None:
            found.append(Problem(node.op, node.output, reason))
    return tuple(found)


def require_supported(graph: Graph) -> None:
    """Raise `UnsupportedError` with every node that cannot be exported."""
    found = problems(graph)
    if found:
        raise UnsupportedError(found)
