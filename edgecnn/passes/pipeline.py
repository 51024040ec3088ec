"""The passes in the order that they run, and what they are checked with."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn import verify
from edgecnn.ir import Graph
from edgecnn.passes.cancel_transposes import cancel_transposes
from edgecnn.passes.fold_batch_norm import fold_batch_norm
from edgecnn.passes.fold_channel_orders import fold_channel_orders
from edgecnn.passes.fuse_activations import fuse_activations
from edgecnn.passes.fuse_bias import fuse_bias
from edgecnn.passes.fuse_pad import fuse_pad, turn_pads
from edgecnn.passes.fuse_tables import fuse_tables
from edgecnn.passes.merge_reshapes import merge_reshapes
from edgecnn.passes.merge_transposes import merge_transposes, turn_shuffles
from edgecnn.passes.read_parts import read_parts
from edgecnn.passes.sink_reshapes import sink_reshapes

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (
    turn_shuffles,
    cancel_transposes,
    sink_reshapes,
    merge_transposes,
    merge_reshapes,
    turn_pads,
    fuse_pad,
    fuse_bias,
    fold_batch_norm,
    read_parts,
    merge_reshapes,
    fuse_activations,
    fold_channel_orders,
    fuse_tables,
)


def run(graph: Graph, *, keep_layout: bool = False) -> Graph:
    """Simplify a graph that a front end made; the result computes the same.

    With ``keep_layout``, the layout of inputs, outputs, and of every tensor that keeps its name
    stays, so that the graph can be compared with the file that it came from.

    Raises `InvariantError` where the graph, or what a pass makes of it, breaks a rule.
    """
    verify.check(graph)
    for rewrite in PIPELINE:
        if rewrite is cancel_transposes:
            graph = cancel_transposes(graph, keep_layout=keep_layout)
        else:
            graph = rewrite(graph)
        verify.check(graph)
    return graph
