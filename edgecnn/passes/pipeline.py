"""The passes in the order that they run, and what they are checked with."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn import verify
from edgecnn.ir import Graph
from edgecnn.passes.cancel_transposes import cancel_transposes
from edgecnn.passes.fold_batch_norm import fold_batch_norm
from edgecnn.passes.fuse_activations import fuse_activations
from edgecnn.passes.fuse_pad import fuse_pad
from edgecnn.passes.merge_reshapes import merge_reshapes

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (
    cancel_transposes,
    fuse_pad,
    fold_batch_norm,
    merge_reshapes,
    fuse_activations,
)


def run(graph: Graph) -> Graph:
    """Simplify a graph that a front end made; the result computes the same.

    Raises `InvariantError` where the graph, or what a pass makes of it, breaks a rule.
    """
    verify.check(graph)
    for rewrite in PIPELINE:
        graph = rewrite(graph)
        verify.check(graph)
    return graph
