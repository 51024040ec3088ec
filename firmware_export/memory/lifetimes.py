"""From a graph to the buffers that its inference needs, and when it needs them."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.ir import Graph
from edgecnn.operators import operator
from firmware_export.memory.plan import Buffer


def storage(graph: Graph) -> dict[str, str]:
    """Map each activation to the tensor whose bytes it shares: itself, unless it is a view."""
    owner = {name: name for name in graph.inputs}
    for node in graph.nodes:
        for name in node.outputs:
            is_view = operator(node.op).is_view
            owner[name] = owner[node.inputs[0]] if is_view else name
    return owner


def scratch_name(step: int) -> str:
    """Name of the buffer that holds a layer's scratch."""
    return f"scratch of layer {step}"


def buffers(
    graph: Graph, scratch: Mapping[int, int], fused: Mapping[int, int] | None = None
) -> tuple[Buffer, ...]:
    """Buffers of an int8 graph in execution order.

    ``scratch[step]`` is the working memory of a layer in bytes. Inputs live from before the
    first layer, outputs until after the last one. ``fused[step]`` is the later layer that a node
    is computed in: what it gives has no buffer, and what it takes lives until then.
    """
    owner, within = storage(graph), fused or {}
    gone = {name for step in within for name in graph.nodes[step].outputs}
    first = dict.fromkeys(graph.inputs, -1)
    last = dict.fromkeys(graph.inputs, -1)
    for step, node in enumerate(graph.nodes):
        for name in graph.activation_inputs(node):
            if name not in gone:
                last[owner[name]] = max(last[owner[name]], within.get(step, step))
        if step in within:
            continue
        for name in node.outputs:
            first.setdefault(owner[name], step)
            last[owner[name]] = max(last.get(owner[name], step), step)
    for name in graph.outputs:
        last[owner[name]] = len(graph.nodes)
    found = [Buffer(n, graph.tensors[n].nbytes, first[n], last[n]) for n in first]
    found += [Buffer(scratch_name(s), size, s, s) for s, size in scratch.items() if size]
    return tuple(sorted(found, key=lambda b: (b.first, b.last, b.name)))
