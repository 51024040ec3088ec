"""The first nodes of a graph as stages that compute bands of rows, with lines of rows between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecnn.errors import InvariantError
from edgecnn.ir import Graph
from edgecnn.operators import operator
from edgecnn.windows import RowWindow
from firmware_export.exporters import CLayer
from firmware_export.streaming.bands import window_of
from firmware_export.streaming.schedule import Line, Outcome, Reader, Schedule, Stage

#: ``EDGECNN_STAGE_INPUTS`` of ``edgecnn_stream.h``.
MAX_INPUTS = 4
#: Places of rows, and the state of a schedule, are words of 16 bits.
MAX_ROWS, WORD_BYTES = 1 << 15, 2


@dataclass(frozen=True)
class BandLayer:
    """The call that computes ``rows`` rows of a node's output: `bands.band` as C."""

    rows: int
    layer: CLayer


@dataclass(frozen=True, eq=False)
class Stream:
    """The first ``count`` nodes of a graph in bands of rows.

    A stage computes the nodes ``members[i]``, by their places: a layer, and elementwise ones that
    follow it in its place. ``inputs[i]`` has the reader of each of their inputs, by node and
    tensor. With ``is_fed`` the rows of the input come from outside, else from the arena.
    """

    lines: tuple[Line, ...]
    stages: tuple[Stage, ...]
    members: tuple[tuple[int, ...], ...]
    inputs: tuple[Mapping[tuple[int, str], int], ...]
    layers: Mapping[int, CLayer]
    outcome: Outcome
    is_fed: bool

    @property
    def count(self) -> int:
        """Nodes in the stream."""
        return len(self.layers)

    @property
    def scratch_bytes(self) -> int:
        """Working memory, which the stages take in turn."""
        return max(layer.scratch_bytes for layer in self.layers.values())

    @property
    def state_bytes(self) -> int:
        """What the schedule has to remember from row to row."""
        return WORD_BYTES * (2 * len(self.lines) + len(self.stages))

    def line_bytes(self, number: int) -> int:
        """Bytes of a line, all of whose rows are there if it is whole."""
        line = self.lines[number]
        rows = line.rows if line.whole else self.outcome.capacity[number]
        return rows * line.row_bytes

    @property
    def whole(self) -> Mapping[str, Line]:
        """The lines of tensors that are there whole afterwards, by their names."""
        return {line.tensor: line for line in self.lines if line.whole}


def windows(graph: Graph) -> list[RowWindow]:
    """Those of the first nodes of a graph, as many as can be in a stream.

    A network that can be has one input, an image, that none but those nodes read.
    """
    found: list[RowWindow] = []
    if len(graph.inputs) != 1 or graph.inputs[0] in graph.outputs:
        return found
    there = {graph.inputs[0]}
    for node in graph.nodes:
        window = window_of(graph, node)
        images = graph.activation_inputs(node)
        if window is None or not there.issuperset(images) or len(images) > MAX_INPUTS:
            break
        if any(graph.tensors[name].shape[1] > MAX_ROWS for name in (*images, node.output)):
            break
        found.append(window)
        there.add(node.output)
    last = max((i for i, n in enumerate(graph.nodes) if graph.inputs[0] in n.inputs), default=0)
    return found if last < len(found) else []


def leaders(graph: Graph, windows: Sequence[RowWindow]) -> list[int | None]:
    """For each of the first nodes that is elementwise, one whose output none but it reads.

    Of several the one with the largest window: it has its rows last.
    """
    readers: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers[name] = readers.get(name, 0) + 1
    places = {node.output: step for step, node in enumerate(graph.nodes[: len(windows)])}
    found: list[int | None] = []
    for node, window in zip(graph.nodes, windows, strict=False):
        alone = [
            places[name]
            for name in node.inputs
            if name in places and readers[name] == 1 and name not in graph.outputs
        ]
        alike = operator(node.op).is_elementwise and (window.size, window.stride) == (1, 1)
        found.append(max(alone, key=lambda s: (windows[s].size, s)) if alike and alone else None)
    return found


def make(graph: Graph, bands: Sequence[BandLayer], *, is_fed: bool = False) -> Stream | None:
    """The stream of as many first nodes as there are ``bands`` of, each of a divisor of its rows.

    Once all readers of a tensor are in the stream it is never there whole. None where the padding
    of a tensor would have to hold two values at once, and where the input comes from outside but
    nodes after the stream read it too.
    """
    builder = _Builder(graph, bands)
    lines = builder.lines()
    if lines is None or (is_fed and builder.is_read_later(graph.inputs[0])):
        return None
    outcome = Schedule(lines, builder.stages).run()
    layers = {step: band.layer for step, band in enumerate(bands)}
    return Stream(
        lines,
        tuple(builder.stages),
        tuple(builder.members),
        tuple(builder.inputs),
        layers,
        outcome,
        is_fed,
    )


class _Builder:
    """Puts nodes into stages, and finds what rows of each tensor they read."""

    def __init__(self, graph: Graph, bands: Sequence[BandLayer]) -> None:
        self.graph, self.bands = graph, bands
        self.windows = windows(graph)[: len(bands)]
        if len(self.windows) < len(bands):
            raise InvariantError("these layers cannot be computed in bands of rows")
        self.leaders = leaders(graph, self.windows)
        self.members: list[tuple[int, ...]] = []
        for step in range(len(bands)):
            self._enter(step)
        names = [graph.inputs[0], *(graph.nodes[m[-1]].output for m in self.members)]
        self.numbers = {name: i for i, name in enumerate(names)}
        self.inputs: list[Mapping[tuple[int, str], int]] = []
        self.stages = [self._stage(members) for members in self.members]

    def _enter(self, step: int) -> None:
        """A node behind the one whose rows it may write over, or in a stage of its own.

        The stage moves behind all others then: nothing but this node needs what it gave.
        """
        leader = self.leaders[step]
        stage = next((m for m in self.members if m[-1] == leader), None)
        if stage is not None and leader is not None and self._is_in_place(step, leader):
            together = (*stage, step)
            if len([key for s in together for key in self._reads(s, together)]) <= MAX_INPUTS:
                self.members.remove(stage)
                self.members.append(together)
                return
        self.members.append((step,))

    def _is_in_place(self, step: int, leader: int) -> bool:
        """Whether a node may write over what its leader gives, band by band."""
        given = self.graph.nodes[leader].output
        layer = self.bands[step].layer
        distance = layer.overlaps.get(self.graph.nodes[step].inputs.index(given))
        if distance is None or self.bands[step].rows != self.bands[leader].rows:
            return False
        return distance.bytes == 0 if distance.is_exact else distance.bytes <= 0

    def _reads(self, step: int, members: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The inputs of a node that come from lines."""
        inside = {self.graph.nodes[s].output for s in members}
        for name in dict.fromkeys(self.graph.activation_inputs(self.graph.nodes[step])):
            if name not in inside:
                yield step, name

    def _stage(self, members: tuple[int, ...]) -> Stage:
        keys = [key for step in members for key in self._reads(step, members)]
        self.inputs.append({key: i for i, key in enumerate(keys)})
        output = self.graph.nodes[members[-1]].output
        rows = self.bands[members[0]].rows
        height = self.graph.tensors[output].shape[1]
        if height % rows != 0:
            raise InvariantError(f"{height} rows of '{output}' are not bands of {rows}")
        readers = tuple(self._reader(step, name, rows) for step, name in keys)
        return Stage(readers, self.numbers[output], rows, height // rows)

    def _reader(self, step: int, name: str, rows: int) -> Reader:
        window = self.windows[step]
        first = self._above(name) - window.above
        return Reader(self.numbers[name], first, window.rows(rows), rows * window.stride)

    def _above(self, name: str) -> int:
        """Rows of padding above a tensor."""
        return max((w.above for w in self._readers(name)), default=0)

    def _readers(self, name: str) -> list[RowWindow]:
        nodes = self.graph.nodes[: len(self.bands)]
        return [w for w, n in zip(self.windows, nodes, strict=True) if name in n.inputs]

    def lines(self) -> tuple[Line, ...] | None:
        """A line for the input and for the output of each stage."""
        found = [self._line(name, number) for name, number in self.numbers.items()]
        return tuple(line for line in found if line) if all(found) else None

    def _line(self, name: str, number: int) -> Line | None:
        tensor, above = self.graph.tensors[name], self._above(name)
        last = above + tensor.shape[1]
        readers = list(self._spans(name))
        below = max([0, *(end - last for _, _, end in readers)])
        fills = {fill for fill, first, end in readers if first < above or end > last} or {0}
        fill = fills.pop()
        if fills or fill is None:
            return None
        whole = number > 0 and (name in self.graph.outputs or self.is_read_later(name))
        height = tensor.shape[1]
        return Line(name, tensor.nbytes // height, height, above, below, fill, whole)

    def _spans(self, name: str) -> Iterator[tuple[int | None, int, int]]:
        """For each reader of a line what its padding holds, its first row, and that after its last.

        None where there must not be any.
        """
        for stage, inputs in zip(self.stages, self.inputs, strict=True):
            for (step, read), position in inputs.items():
                if read == name:
                    r = stage.readers[position]
                    end = r.first + (stage.bands - 1) * r.step + r.size
                    yield self.windows[step].fill, r.first, end

    def is_read_later(self, name: str) -> bool:
        """Whether nodes after the stream read a tensor."""
        return any(name in node.inputs for node in self.graph.nodes[len(self.bands) :])
