"""From a graph to the buffers that its inference needs, and when it needs them."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.ir import Graph
from edgecnn.operators import operator
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory.plan import Buffer, Overlap, Problem


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


def problem(
    graph: Graph, layers: Mapping[int, CLayer], fused: Mapping[int, int] | None = None
) -> Problem:
    """Buffers of an int8 graph in execution order, and which of them may overlap.

    ``layers[step]`` is the call that computes a node; views have none. Inputs live from before the
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
    scratch = {step: layer.scratch_bytes for step, layer in layers.items()}
    found += [Buffer(scratch_name(s), size, s, s) for s, size in scratch.items() if size]
    overlaps = [
        overlap
        for step, layer in sorted(layers.items())
        for overlap in _overlaps(graph, step, layer, within, owner)
        if last[overlap.read] == step == first[overlap.written]
    ]
    return Problem(tuple(sorted(found, key=lambda b: (b.first, b.last, b.name))), tuple(overlaps))


def call_inputs(graph: Graph, step: int, fused: Mapping[int, int]) -> list[str]:
    """What the call of a layer takes: the inputs of all nodes that it computes, in their order."""
    members = [*(graph.nodes[s] for s, at in fused.items() if at == step), graph.nodes[step]]
    between = {name for inner in members[:-1] for name in inner.outputs}
    return [name for member in members for name in member.inputs if name not in between]


def _overlaps(
    graph: Graph, step: int, layer: CLayer, fused: Mapping[int, int], owner: Mapping[str, str]
) -> list[Overlap]:
    """Which inputs a layer may write its first output over."""
    written = owner[graph.nodes[step].output]
    found: dict[str, list[Distance | None]] = {}
    for position, name in enumerate(call_inputs(graph, step, fused)):
        if name in owner:
            found.setdefault(owner[name], []).append(layer.overlaps.get(position))
    return [
        Overlap(written, read, each[0].bytes, each[0].is_exact)
        for read, each in found.items()
        if each[0] is not None and all(distance == each[0] for distance in each)
    ]
