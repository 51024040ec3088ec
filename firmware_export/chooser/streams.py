"""Which of the first layers run in bands of rows, of how many rows, by which kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from edgecnn.ir import Graph
from firmware_export.chooser.selection import with_margin
from firmware_export.chooser.trials import (
    PORTABLE,
    Group,
    Trial,
    Trials,
    constant_bytes,
    group_of_one,
    measured,
)
from firmware_export.device.cores import Core
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.plan import ALIGNMENT
from firmware_export.memory.planner import plan
from firmware_export.streaming.bands import band
from firmware_export.streaming.stream import BandLayer, Stream, leaders, make, windows

T = TypeVar("T")

#: Rows of bands that are tried, where they part all rows alike.
ROWS = (1, 2, 4)
#: Cycles of a byte that moves up in a line, and of a band beside its kernel: about what
#: ``edgecnn_stream.h`` takes on a Cortex-M4.
_CYCLES_OF_MOVED_BYTE, _CYCLES_OF_BAND = 1, 300
#: Looks at pairs of buffers to place those of a stream, while streams are compared.
_WORK = 30_000


class Bands:
    """The kernels for bands of the first layers of a graph, and what they take."""

    def __init__(self, graph: Graph, core: Core, compiler: str) -> None:
        self.graph, self.core, self.compiler = graph, core, compiler
        self.windows = windows(graph)
        self._trials: dict[tuple[int, int], Trials] = {}
        self._streams: dict[object, Stream | None] = {}

    def rows(self, step: int) -> list[int]:
        """Rows that a band of a node can have."""
        height = self.height(step)
        return [rows for rows in ROWS if height % rows == 0]

    def height(self, step: int) -> int:
        """Rows of a node's output."""
        return self.graph.tensors[self.graph.nodes[step].output].shape[1]

    @cached_property
    def leaders(self) -> list[int | None]:
        """For elementwise nodes the one that they may be in one stage with, in as many rows."""
        return leaders(self.graph, self.windows)

    def stream(
        self, rows: tuple[int, ...], kernels: tuple[str, ...], is_fed: bool
    ) -> Stream | None:
        """The stages and lines of some first layers; None where padding stands in the way.

        Lines depend on the rows alone, and on which elementwise layers may write over their input.
        """
        bands = [self.layer(s, *chosen) for s, chosen in enumerate(zip(rows, kernels, strict=True))]
        led = [b.layer for s, b in enumerate(bands) if self.leaders[s] is not None]
        key = (rows, tuple(repr(dict(layer.overlaps)) for layer in led), is_fed)
        if key not in self._streams:
            self._streams[key] = make(self.graph, bands, is_fed=is_fed)
        found = self._streams[key]
        layers = {step: b.layer for step, b in enumerate(bands)}
        return None if found is None else replace(found, layers=layers)

    def measure(self, count: int, step: Callable[[str], None]) -> None:
        """Try the kernels for all bands of some first layers; ``step`` is told."""
        keys = [(s, rows) for s in range(count) for rows in self.rows(s)]
        missing = [key for key in keys if key not in self._trials]
        if missing:
            step(f"trying bands of rows of {count} layers on a {self.core.title}")
        groups = [self._group(*key) for key in missing]
        found = measured(groups, self.core, self.compiler)
        self._trials |= dict(zip(missing, found, strict=True))

    def trials(self, step: int, rows: int) -> tuple[Trial, ...]:
        """What the kernels for a band took."""
        return self._trials[step, rows].trials

    def layer(self, step: int, rows: int, kernel: str) -> BandLayer:
        """The call of a kernel for a band."""
        return BandLayer(rows, self._trials[step, rows].group.layers[kernel][0])

    def _group(self, step: int, rows: int) -> Group:
        """The kernels for a band; where rows are not aligned those that take single bytes."""
        graph = band(self.graph, self.graph.nodes[step], self.windows[step], rows)
        images = [graph.tensors[name] for name in (*graph.inputs, *graph.outputs)]
        are_aligned = all(t.nbytes // t.shape[1] % ALIGNMENT == 0 for t in images)
        fast = are_aligned or not self.core.needs_alignment
        return group_of_one(graph, self.core, with_fast=fast)


@dataclass(frozen=True, eq=False)
class StreamChoice:
    """One kernel and number of rows for each of the first layers."""

    bands: Bands
    rows: tuple[int, ...]
    trials: tuple[Trial, ...]
    is_fed: bool

    @cached_property
    def stream(self) -> Stream | None:
        """The stages and lines; None where padding stands in the way."""
        return self.bands.stream(self.rows, self.kernels, self.is_fed)

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernel of each layer."""
        return tuple(trial.kernel for trial in self.trials)

    @cached_property
    def cycles(self) -> int:
        """All bands, by their trials, and what moves between them."""
        assert self.stream is not None
        return self.stream.outcome.moved_bytes * _CYCLES_OF_MOVED_BYTE + sum(
            self.bands.height(step) // rows * (trial.cycles + _CYCLES_OF_BAND)
            for step, (rows, trial) in enumerate(zip(self.rows, self.trials, strict=True))
        )

    @cached_property
    def arena_bytes(self) -> int:
        """Bytes of the arena while the stream runs."""
        assert self.stream is not None
        at = self.stream.count - 1
        there = problem(self.bands.graph, {}, {}, self.stream).within(at, at)
        return plan(there, _WORK).arena_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of all lines and of working memory: a measure of the arena that is soon known."""
        assert self.stream is not None
        lines = sum(map(self.stream.line_bytes, range(len(self.stream.lines))))
        return lines + self.stream.scratch_bytes

    @cached_property
    def flash_bytes(self) -> int:
        """Weights, and the code of each kernel and shape once."""
        assert self.stream is not None
        code: dict[str, int] = {}
        for step, trial in enumerate(self.trials):
            layer = self.stream.layers[step]
            shape = "" if layer.is_shared else repr(dict(layer.shape))
            name = f"{layer.kernel} {shape}"
            code[name] = max(code.get(name, 0), trial.code_bytes)
        weights = sum(map(constant_bytes, self.stream.layers.values()))
        return weights + with_margin(sum(code.values()))

    def others(self) -> Iterator[StreamChoice]:
        """The choices that differ in one layer, with the elementwise ones that follow it."""
        for step in range(len(self.rows)):
            if self.bands.leaders[step] is not None:
                continue
            for rows in self.bands.rows(step):
                for trial in self.bands.trials(step, rows):
                    if (rows, trial) != (self.rows[step], self.trials[step]):
                        yield self._with(step, rows, trial)

    def _with(self, step: int, rows: int, trial: Trial) -> StreamChoice:
        all_rows, trials = list(self.rows), list(self.trials)
        all_rows[step], trials[step] = rows, trial
        for s in range(step + 1, len(all_rows)):
            leader = self.bands.leaders[s]
            if leader is not None and all_rows[leader] != all_rows[s]:
                all_rows[s] = all_rows[leader]
                trials[s] = _fastest(self.bands.trials(s, all_rows[s]))
        return replace(self, rows=tuple(all_rows), trials=tuple(trials))


def _fastest(trials: Sequence[Trial]) -> Trial:
    return min(trials, key=lambda t: (t.cycles, t.kernel == PORTABLE))


def _uniform(bands: Bands, count: int, most: int, is_fed: bool) -> StreamChoice:
    """The fastest kernels for bands of up to so many rows."""
    rows: list[int] = []
    for step in range(count):
        leader = bands.leaders[step]
        own = max(r for r in bands.rows(step) if r <= most)
        rows.append(own if leader is None else rows[leader])
    trials = [_fastest(bands.trials(step, r)) for step, r in enumerate(rows)]
    return StreamChoice(bands, tuple(rows), tuple(trials), is_fed)


def path(bands: Bands, count: int, *, is_fed: bool) -> list[StreamChoice]:
    """Choices for some first layers from the fastest on, each with a smaller arena.

    The next one gives up the fewest cycles for a byte, again and again.
    """
    found: dict[object, StreamChoice] = {}
    for most in ROWS:
        start = _uniform(bands, count, most, is_fed)
        here: StreamChoice | None = None if start.stream is None else start
        while here is not None and (here.rows, here.kernels) not in found:
            found[here.rows, here.kernels] = here
            here = _smaller(here)
    return undominated(found.values(), lambda c: (c.held_bytes, c.cycles))


def _smaller(choice: StreamChoice) -> StreamChoice | None:
    smaller = [
        (choice.held_bytes - other.held_bytes, other)
        for other in choice.others()
        if other.stream is not None and other.held_bytes < choice.held_bytes
    ]
    if not smaller:
        return None
    return min(smaller, key=lambda s: (s[1].cycles - choice.cycles) / s[0])[1]


def undominated(found: Iterable[T], sizes: Callable[[T], tuple[int, int]]) -> list[T]:
    """Those that no other is better than in one size without being worse in the other.

    In ascending order of the first.
    """
    kept: list[T] = []
    for item in sorted(found, key=sizes):
        if not kept or sizes(item)[1] < sizes(kept[-1])[1]:
            kept.append(item)
    return kept
