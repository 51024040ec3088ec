"""From a graph to the buffers that its inference needs, and when it needs them."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.ir import Graph
from edgecnn.operators import operator
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory.plan import Buffer, Overlap, Problem
from firmware_export.streaming.stream import Stream


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


#: What a stream has to remember from row to row; where it is, of one that is fed.
STREAM_STATE, STREAM_POSITION = "state of the stream", "position of the stream"
STREAM_SCRATCH = "scratch of the stream"
#: Bytes of the position: a mark, and the rows that have come.
POSITION_BYTES = 8


def rows_name(tensor: str) -> str:
    """Name of the buffer that holds some rows of a tensor."""
    return f"rows of {tensor}"


def problem(
    graph: Graph,
    layers: Mapping[int, CLayer],
    fused: Mapping[int, int] | None = None,
    stream: Stream | None = None,
) -> Problem:
    """Buffers of an int8 graph in execution order, and which of them may overlap.

    ``layers[step]`` is the call that computes a node; views have none. Inputs live from before the
    first layer, outputs until after the last one. ``fused[step]`` is the later layer that a node
    is computed in: what it gives has no buffer, and what it takes lives until then. All nodes of a
    ``stream`` count as one step, its last.
    """
    spans = _Spans(graph, fused or {}, stream)
    found = [Buffer(n, spans.bytes(n), first, spans.last[n]) for n, first in spans.first.items()]
    own = {step: layer for step, layer in layers.items() if step >= spans.streamed}
    scratch = {step: layer.scratch_bytes for step, layer in own.items()}
    found += [Buffer(scratch_name(s), size, s, s) for s, size in scratch.items() if size]
    allowed = [
        Overlap(o.written, o.read, o.distance - spans.above(o.read), o.is_exact)
        for step, layer in sorted(own.items())
        for o in overlaps(graph, step, layer, spans.within, spans.owner)
        if spans.last[o.read] == step == spans.first[o.written]
    ]
    if stream is not None:
        found += _stream_buffers(graph, stream)
        allowed += _stream_overlaps(graph, stream, spans)
    return Problem(tuple(sorted(found, key=lambda b: (b.first, b.last, b.name))), tuple(allowed))


class _Spans:
    """First and last step of the tensors that have a buffer, by their owner's name."""

    def __init__(self, graph: Graph, within: Mapping[int, int], stream: Stream | None) -> None:
        self.graph, self.within = graph, within
        self.owner = storage(graph)
        self.streamed = 0 if stream is None else stream.count
        self.whole = {} if stream is None else stream.whole
        nodes, at = graph.nodes, max(self.streamed - 1, 0)
        inside = {name for node in nodes[: self.streamed] for name in node.outputs}
        gone = {name for step in within for name in nodes[step].outputs} | inside - set(self.whole)
        fed = stream is not None and stream.is_fed
        self.first = {} if fed else dict.fromkeys(graph.inputs, -1)
        self.last = dict.fromkeys(self.first, -1)
        for step, node in enumerate(nodes):
            now = max(within.get(step, step), at)
            for name in graph.activation_inputs(node):
                if name not in gone and self.owner[name] in self.last:
                    self.last[self.owner[name]] = max(self.last[self.owner[name]], now)
            for name in node.outputs:
                if name not in gone:
                    self.first.setdefault(self.owner[name], max(step, at))
                    self.last[self.owner[name]] = max(self.last.get(self.owner[name], now), now)
        for name in graph.outputs:
            self.last[self.owner[name]] = len(nodes)

    def bytes(self, name: str) -> int:
        """Bytes of a tensor's buffer, with rows of padding around it."""
        line = self.whole.get(name)
        return self.graph.tensors[name].nbytes if line is None else line.rows * line.row_bytes

    def above(self, name: str) -> int:
        """Bytes of padding before a tensor in its buffer."""
        line = self.whole.get(name)
        return 0 if line is None else line.above * line.row_bytes


def _stream_buffers(graph: Graph, stream: Stream) -> list[Buffer]:
    """Lines of rows, working memory and state of a stream; what is whole has its own buffer."""
    at = stream.count - 1
    found = [
        Buffer(rows_name(line.tensor), stream.line_bytes(i), at, at)
        for i, line in enumerate(stream.lines)
        if not line.whole
    ]
    found.append(Buffer(STREAM_STATE, stream.state_bytes, at, at))
    if stream.scratch_bytes:
        found.append(Buffer(STREAM_SCRATCH, stream.scratch_bytes, at, at))
    if stream.is_fed:
        found.append(Buffer(STREAM_POSITION, POSITION_BYTES, -1, len(graph.nodes)))
    return found


def _stream_overlaps(graph: Graph, stream: Stream, spans: _Spans) -> list[Overlap]:
    """What may lie over rows of the input that have been taken by then, and over finished lines."""
    lines, outcome = stream.lines, stream.outcome
    names = [line.tensor if line.whole else rows_name(line.tensor) for line in lines]
    found = [
        Overlap(names[k], names[i], outcome.used[i][k] or -stream.line_bytes(i))
        for i, read in enumerate(lines)
        for k in range(len(lines))
        if k != i and not read.whole and outcome.used[i][k] < stream.line_bytes(k)
    ]
    (read,) = graph.inputs
    if stream.is_fed or spans.last[read] >= stream.count:  # read again afterwards
        return found
    found += [Overlap(name, read, lead) for name, lead in zip(names, outcome.lead, strict=True)]
    if stream.scratch_bytes:
        apart = stream.scratch_bytes - stream.outcome.start
        found.append(Overlap(STREAM_SCRATCH, read, apart))
    return found


def call_inputs(graph: Graph, step: int, fused: Mapping[int, int]) -> list[str]:
    """What the call of a layer takes: the inputs of all nodes that it computes, in their order."""
    members = [*(graph.nodes[s] for s, at in fused.items() if at == step), graph.nodes[step]]
    between = {name for inner in members[:-1] for name in inner.outputs}
    return [name for member in members for name in member.inputs if name not in between]


def overlaps(
    graph: Graph, step: int, layer: CLayer, fused: Mapping[int, int], owner: Mapping[str, str]
) -> list[Overlap]:
    """Which inputs a layer may write its first output over, where nothing else needs them."""
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
