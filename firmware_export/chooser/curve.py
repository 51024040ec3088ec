"""RAM against cycles: what layers in bands of rows, and other kernels, give for what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgecnn.errors import FitError
from firmware_export.chooser.selection import Budget, Frame, Selection, select
from firmware_export.chooser.streams import Bands, StreamChoice, path, undominated
from firmware_export.chooser.trials import Trials
from firmware_export.exporters import portable_call
from firmware_export.memory.planner import WORK
from firmware_export.streaming.bands import band
from firmware_export.streaming.stream import BandLayer, Stream, make

#: Looks at pairs of buffers for a plan while points are compared: a tenth of the last one's.
_WORK = WORK // 10
#: What the least RAM may cost: so many times the cycles of the fastest point.
MOST_CYCLES = 1.3


@dataclass(frozen=True, eq=False)
class Point:
    """Kernels for all layers, some of them in bands of rows; cycles are those of the trials."""

    arena_bytes: int
    cycles: int
    selection: Selection
    streamed: StreamChoice | None = None

    def to_json(self) -> dict[str, Any]:
        """The point in the entry ``curve`` of ``edgecnn export --json``."""
        count = 0 if self.streamed is None else len(self.streamed.rows)
        return {
            "arena_bytes": self.arena_bytes,
            "cycles": self.cycles,
            "layers_in_bands": count,
            "rows": [] if self.streamed is None else list(self.streamed.rows),
        }


def curve(
    frame: Frame,
    trials: Sequence[Trials],
    budget: Budget,
    bands: Bands,
    *,
    is_fed: bool,
    step: Callable[[str], None],
) -> list[Point]:
    """The points that no other one is better than, in ascending order of their arenas.

    All are within the flash of the budget, as far as that can be. With ``is_fed`` the rows of the
    input come from outside, so that the first layers are in bands in any case. ``step`` is told
    what begins.
    """
    found = [] if is_fed else _whole(frame, trials, budget)
    counts = _counts(frame, bands, is_fed=is_fed)
    if counts:
        bands.measure(counts[-1], step)
        step("weighing RAM against cycles")
    tails = {count: _tail(frame, trials, bands, count, is_fed) for count in counts}
    choices = [c for count in counts for c in path(bands, count, is_fed=is_fed)]
    worth = undominated(choices, lambda c: _sizes(c, tails[len(c.rows)]))
    found += [_point(frame, trials, budget, choice) for choice in worth]
    return undominated(found, lambda p: (p.arena_bytes, p.cycles))


def _whole(frame: Frame, trials: Sequence[Trials], budget: Budget) -> list[Point]:
    """No bands: the fastest kernels, and those with the least arena."""
    budgets = (replace(budget, ram=None, least_ram=least) for least in (False, True))
    selections = [select(frame, trials, b) for b in budgets]
    return [Point(s.arena_bytes, s.cycles, s) for s in selections]


def _counts(frame: Frame, bands: Bands, *, is_fed: bool) -> list[int]:
    """Numbers of layers in bands each of which makes the arena smaller than fewer do."""
    least = None if is_fed else frame.without_scratch(None, _WORK).arena_bytes({}, {})
    found = []
    for count in range(1, len(bands.windows) + 1):
        stream = _single_rows(bands, count, is_fed)
        if stream is None:
            continue
        streamed = frame.without_scratch(stream, _WORK)
        if least is not None and streamed.bound({}, {}) >= least:
            continue  # a plan takes long
        arena = streamed.arena_bytes({}, {})
        if least is None or arena < least:
            least = arena
            found.append(count)
    return found


def _single_rows(bands: Bands, count: int, is_fed: bool) -> Stream | None:
    """The stream of some first layers in bands of a row, by portable code without scratch."""
    layers = []
    for s in range(count):
        graph = band(bands.graph, bands.graph.nodes[s], bands.windows[s], 1)
        layer = portable_call(graph.nodes[0], graph)
        assert layer is not None, "views are in no stream"
        layers.append(BandLayer(1, replace(layer, scratch_bytes=0)))
    return make(bands.graph, layers, is_fed=is_fed)


def _tail(
    frame: Frame, trials: Sequence[Trials], bands: Bands, count: int, is_fed: bool
) -> tuple[int, int]:
    """What comes behind some layers in bands: the least bytes, and by itself the least cycles."""
    after = frame.without_scratch(_single_rows(bands, count, is_fed), _WORK)
    return after.quick_bytes({}, {}), select(after, trials, Budget()).cycles


def _sizes(choice: StreamChoice, tail: tuple[int, int]) -> tuple[int, int]:
    """About the bytes and the cycles of a network with a stream."""
    return max(choice.arena_bytes, tail[0]), choice.cycles + tail[1]


def _point(frame: Frame, trials: Sequence[Trials], budget: Budget, choice: StreamChoice) -> Point:
    """The fastest kernels behind the stream that need no more RAM than it, if there are any."""
    streamed = Frame(frame.graph, frame.portable, choice.stream, choice.arena_bytes, work=_WORK)
    left = budget.less(choice.flash_bytes)
    selection = select(streamed, trials, Budget(left.flash, choice.arena_bytes))
    return Point(selection.arena_bytes, choice.cycles + selection.cycles, selection, choice)


def pick(points: Sequence[Point], ram_limit: int | None, *, least_ram: bool) -> Point:
    """The fastest point within a limit; or the one with the least RAM for `MOST_CYCLES`.

    Raises `FitError` where none is within ``ram_limit`` bytes.
    """
    if ram_limit is not None:
        within = [point for point in points if point.arena_bytes <= ram_limit]
        if not within:
            raise beyond(ram_limit, min(point.arena_bytes for point in points))
        points = within
    fastest = min(points, key=lambda p: p.cycles)
    if not least_ram:
        return fastest
    cheap = [p for p in points if p.cycles <= MOST_CYCLES * fastest.cycles]
    return min(cheap, key=lambda p: (p.arena_bytes, p.cycles))


def beyond(ram_limit: int, least: int) -> FitError:
    """Says that no arena within a limit was found."""
    return FitError(
        f"--ram-limit {ram_limit:,}: the smallest arena that was found has {least:,} bytes"
    )
