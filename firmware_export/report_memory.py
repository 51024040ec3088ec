"""What the report says of RAM beside the memory map: arenas against cycles, and layers in bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.ir import Graph
from firmware_export.chooser import Choice
from firmware_export.chooser.curve import Point
from firmware_export.chooser.streams import StreamChoice
from firmware_export.report_figures import (
    ACTIVATION,
    GRID,
    IO,
    byte_step,
    bytes_label,
    draw,
    grouped,
)
from firmware_export.streaming.stream import Stream


@dataclass(frozen=True)
class CurveRow:
    """A point of the curve; ``times`` is its cycles as a multiple of the fastest point's."""

    arena_bytes: int
    cycles: int
    times: float
    layers: int
    rows: str
    is_taken: bool

    @property
    def title(self) -> str:
        """The point in words."""
        bands = f"{self.layers} layers in bands of {self.rows}" if self.layers else "no bands"
        return f"{grouped(self.arena_bytes)} bytes, {grouped(self.cycles)} cycles, {bands}"


def rows_in_words(rows: Sequence[int]) -> str:
    """Rows of the bands of some layers, once where all have the same.

    >>> rows_in_words((1, 1, 1)), rows_in_words((2, 2)), rows_in_words((1, 2, 4))
    ('1 row', '2 rows', '1, 2, 4 rows')
    """
    counts = list(rows) if len(set(rows)) > 1 else list(rows[:1])
    return f"{', '.join(map(str, counts))} row{'' if counts == [1] else 's'}"


def taken(choice: Choice) -> Point | None:
    """The point of the curve that a choice is; None where there is no curve.

    The last plan is searched for longer than those of the curve, so that the arena may have come
    out smaller than the point's.
    """
    alike = [p for p in choice.curve if p.streamed is choice.streamed]
    enough = [p for p in alike if p.arena_bytes >= choice.selection.arena_bytes]
    return min(enough, key=lambda p: p.arena_bytes, default=None)


def curve_rows(choice: Choice | None) -> list[CurveRow]:
    """The points of the curve, in ascending order of their arenas."""
    if choice is None:
        return []
    fastest = min((p.cycles for p in choice.curve), default=1)
    here = taken(choice)
    return [
        CurveRow(
            p.arena_bytes,
            p.cycles,
            p.cycles / max(fastest, 1),
            0 if p.streamed is None else len(p.streamed.rows),
            "" if p.streamed is None else rows_in_words(p.streamed.rows),
            p is here,
        )
        for p in choice.curve
    ]


def curve_chart(rows: Sequence[CurveRow]) -> str:
    """Cycles over the arena's bytes: between two points a limit gets the one on its left."""

    def paint(axes: Any) -> dict[str, str]:
        arenas = [row.arena_bytes for row in rows]
        cycles = [row.cycles / 1000 for row in rows]
        axes.step(arenas, cycles, where="post", color=GRID, linewidth=1.2, zorder=1)
        tooltips = {}
        for i, row in enumerate(rows):
            (mark,) = axes.plot(
                arenas[i : i + 1], cycles[i : i + 1], marker="o", linestyle="none",
                markersize=9 if row.is_taken else 5.5, markeredgewidth=0,
                color=IO if row.is_taken else ACTIVATION,
            )  # fmt: skip
            mark.set_gid(f"point{i}")
            tooltips[f"point{i}"] = row.title
            if row.is_taken:
                is_left = 2 * arenas[i] < arenas[0] + arenas[-1]
                axes.annotate(
                    f"taken: {grouped(row.arena_bytes)} bytes", (arenas[i], cycles[i]),
                    textcoords="offset points", xytext=(8 if is_left else -8, 7),
                    ha="left" if is_left else "right",
                )  # fmt: skip
        room = (arenas[-1] - arenas[0]) / 25
        step = byte_step(arenas[-1] - arenas[0])
        ticks = range(-(-arenas[0] // step) * step, arenas[-1] + 1, step)
        axes.set_xticks(list(ticks), [bytes_label(value) for value in ticks])
        axes.set_xlim(arenas[0] - room, arenas[-1] + room)
        axes.set_ylim(0, max(cycles) * 1.18)
        axes.set_ylabel("thousand cycles")
        axes.set_xlabel("arena")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("curve", 2.9, paint, "Cycles of an inference over the bytes of the arena")


@dataclass(frozen=True)
class BandRow:
    """A layer in bands of rows. ``held`` says how many rows of its output are there at a time."""

    layer: int
    op: str
    tensor: str
    rows: int
    bands: int
    kernel: str
    cycles: int
    held: str
    held_bytes: int | None


def band_rows(choice: Choice | None, graph: Graph, names: Mapping[str, str]) -> list[BandRow]:
    """The layers in bands; ``names`` has the tensors' names in text that is fit to be shown."""
    if choice is None or choice.streamed is None or choice.stream is None:
        return []
    return [
        _band_row(choice.streamed, choice.stream, graph, names, step)
        for step in range(choice.stream.count)
    ]


def _band_row(
    streamed: StreamChoice, stream: Stream, graph: Graph, names: Mapping[str, str], step: int
) -> BandRow:
    node, rows, trial = graph.nodes[step], streamed.rows[step], streamed.trials[step]
    bands = graph.tensors[node.output].shape[1] // rows
    held, held_bytes = _held(stream, step)
    cycles = bands * trial.cycles
    name = names[node.output]
    return BandRow(step, node.op, name, rows, bands, trial.kernel, cycles, held, held_bytes)


def _held(stream: Stream, step: int) -> tuple[str, int | None]:
    """The rows that a layer's output has room for, in words, and their bytes.

    What a layer in the same stage writes over has no room of its own.
    """
    stage = next(i for i, members in enumerate(stream.members) if step in members)
    last = stream.members[stage][-1]
    if step != last:
        return f"in the place of layer {last}", None
    number = stream.stages[stage].output
    line = stream.lines[number]
    rows = stream.outcome.capacity[number]
    return f"all {rows}" if line.whole else f"{rows} of {line.rows}", stream.line_bytes(number)


@dataclass(frozen=True)
class FeedInput:
    """How rows of the input come, and are held."""

    rows: int
    row_bytes: int
    held: int
    held_bytes: int
    is_fed: bool


def feed_input(stream: Stream | None) -> FeedInput | None:
    """The line of the input of a stream."""
    if stream is None:
        return None
    line, held = stream.lines[0], stream.outcome.capacity[0]
    return FeedInput(line.height, line.row_bytes, held, stream.line_bytes(0), stream.is_fed)


def banded(choice: Choice, covered: frozenset[int]) -> str:
    """Which of some layers, by their places, are in bands, in words: "" if none."""
    count = 0 if choice.stream is None else choice.stream.count
    inside = sorted(step for step in covered if step < count)
    if not inside:
        return ""
    return "in bands" if len(inside) == len(covered) else f"{_list(inside)} in bands"


def _list(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps))
