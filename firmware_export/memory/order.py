"""The order of a branched network's layers in which the fewest bytes are in use at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgecnn.ir import Graph, Node
from firmware_export.exporters import CLayer
from firmware_export.memory.constraints import Distances
from firmware_export.memory.lifetimes import overlaps, storage
from firmware_export.memory.plan import Buffer, Overlap, Problem, aligned

#: Sets of computed layers that are looked at; a network with more gets the best of a beam search.
STATES = 50_000
_BEAM = 64


@dataclass(frozen=True, eq=False)
class _State:
    """The layers in ``done``, a bit each, are computed, that at ``place`` as the last one.

    ``live`` bytes are in use until the next one, and ``peak`` were at the most.
    """

    peak: int
    live: int
    done: int = 0
    count: int = 0
    place: int = -1
    before: _State | None = None


@dataclass(frozen=True)
class _Layer:
    """What a layer needs: places of others as bits, tensors with storage by name, and bytes.

    ``shared`` is what its first output can have in common with an input that nothing else needs.
    """

    after: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    scratch: int
    shared: Mapping[str, int]


class _Network:
    """The layers of a graph by their places in it, and the tensors that have storage."""

    def __init__(self, graph: Graph, layers: Mapping[int, CLayer]) -> None:
        self.graph, self.owner = graph, storage(graph)
        self.size = {o: aligned(graph.tensors[o].nbytes) for o in self.owner.values()}
        self.producers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
        self.layers = [self._layer(i, layers.get(i)) for i in range(len(graph.nodes))]
        self.readers = dict.fromkeys(self.size, 0)
        for i, layer in enumerate(self.layers):
            for name in layer.reads:
                self.readers[name] |= 1 << i
        self.kept = {self.owner[name] for name in graph.outputs}
        used = [name for name in graph.inputs if self.readers[name] or name in self.kept]
        self.start = _State(self._bytes(graph.inputs), self._bytes(used))

    def _layer(self, place: int, layer: CLayer | None) -> _Layer:
        node = self.graph.nodes[place]
        taken = self.graph.activation_inputs(node)
        places = {self.producers[name] for name in taken if name in self.producers}
        found = [] if layer is None else overlaps(self.graph, place, layer, {}, self.owner)
        return _Layer(
            sum(1 << other for other in places),
            tuple(dict.fromkeys(self.owner[name] for name in taken)),
            tuple(name for name in node.outputs if self.owner[name] == name),
            0 if layer is None else aligned(layer.scratch_bytes),
            {overlap.read: self._shared(overlap) for overlap in found},
        )

    def _shared(self, overlap: Overlap) -> int:
        read = Buffer(overlap.read, self.size[overlap.read], 0, 1)
        written = Buffer(overlap.written, self.size[overlap.written], 1, 2)
        distances = Distances(Problem((read, written), (overlap,)))
        return distances.shared(overlap.written, overlap.read)

    def _bytes(self, names: Iterable[str]) -> int:
        return sum(self.size[name] for name in names)

    def _needed(self, layer: _Layer, ending: Iterable[str]) -> int:
        """Bytes that a layer adds to those in use while it is computed."""
        saved = sum(layer.shared.get(name, 0) for name in ending)
        saved = min(saved, self._bytes(layer.writes[:1]))
        return self._bytes(layer.writes) + layer.scratch - saved

    @cached_property
    def given(self) -> _State:
        """The end of the order that the graph has."""
        state = self.start
        for place in range(len(self.layers)):
            state = self.after(state, place)
        return state

    @property
    def least(self) -> int:
        """What no order is below: the inputs, and each layer with what it reads and writes."""
        alone = (self._bytes(x.reads) + self._needed(x, x.reads) for x in self.layers)
        return max(self.start.peak, max(alone, default=0))

    def after(self, state: _State, place: int) -> _State:
        """The state after one more layer."""
        layer, done = self.layers[place], state.done | 1 << place
        ending = [
            name
            for name in (*layer.reads, *layer.writes)
            if name not in self.kept and not self.readers[name] & ~done
        ]
        peak = max(state.peak, state.live + self._needed(layer, ending))
        live = state.live + self._bytes(layer.writes) - self._bytes(ending)
        return _State(peak, live, done, state.count + 1, place, state)

    def next(self, state: _State) -> Iterator[_State]:
        """The states after any one layer more that an order of the least peak may go on with.

        Just one, where a layer takes no bytes, then and from then on: it may as well come first,
        as it frees no less before other layers than after them.
        """
        found = []
        for place, layer in enumerate(self.layers):
            if not state.done >> place & 1 and not layer.after & ~state.done:
                after = self.after(state, place)
                if after.peak == state.peak and after.live <= state.live:
                    yield after
                    return
                found.append(after)
        yield from found


def live_peak(graph: Graph, layers: Mapping[int, CLayer] | None = None) -> int:
    """Most bytes in use at once, each tensor's rounded up to the alignment.

    ``layers`` are the calls, by step, whose scratch and whose outputs that may lie in inputs
    count as well.
    """
    return _Network(graph, layers or {}).given.peak


def least_peak_order(
    graph: Graph, layers: Mapping[int, CLayer] | None = None, states: int = STATES
) -> Graph:
    """The graph with its layers in the order whose `live_peak` is the least of all.

    The very same graph where its order is as good. Views share the bytes of what they view.
    Where there are more than ``states`` sets of layers to look at, the order is not worse than
    the given one, but perhaps not the best.
    """
    network = _Network(graph, layers or {})
    if network.given.peak == network.least:
        return graph
    best = _search(network, states)
    return graph if best is None else graph.replace(nodes=_nodes(graph, best))


def _nodes(graph: Graph, state: _State) -> tuple[Node, ...]:
    """The layers of a state, first to last."""
    found = []
    while state.before is not None:
        found.append(graph.nodes[state.place])
        state = state.before
    return tuple(reversed(found))


def _search(network: _Network, states: int) -> _State | None:
    """The end of the best order; None where none is better than the given one.

    Takes the sets of layers by the least peak that they are reached with, so that the first that
    is complete is the best.
    """
    peaks = {0: network.start.peak}
    waiting = [(network.start.peak, 0, 0, network.start)]
    while waiting:
        state = heapq.heappop(waiting)[-1]
        if state.count == len(network.layers):
            return state
        if state.peak > peaks[state.done]:
            continue
        if len(peaks) > states:
            return _beam(network)
        for after in network.next(state):
            if after.peak < peaks.get(after.done, network.given.peak):
                peaks[after.done] = after.peak
                heapq.heappush(waiting, (after.peak, -after.count, after.done, after))
    return None


def _beam(network: _Network) -> _State | None:
    """The end of a good order; of all states with equally many layers only some are followed."""
    beam = [network.start]
    for _ in network.layers:
        found: dict[int, _State] = {}
        for state in beam:
            for after in network.next(state):
                other = found.get(after.done, network.given)
                if after.peak < other.peak:
                    found[after.done] = after
        beam = sorted(found.values(), key=lambda s: (s.peak, s.live, s.done))[:_BEAM]
    return beam[0] if beam else None
