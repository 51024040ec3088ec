"""The figures of the report: inline SVG whose colours follow the page's own.

matplotlib draws with placeholder colours, which become CSS variables, so that one drawing works
on a light and on a dark page. Text stays text.
"""

from __future__ import annotations

import html
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from edgecnn.ir import Graph
from edgecnn.quantization.error import LayerError
from firmware_export.device.profile import Profile
from firmware_export.memory.lifetimes import STREAM_POSITION, STREAM_STATE, rows_name
from firmware_export.memory.plan import Buffer, Plan, aligned

_WIDTH_INCHES = 10.0
_POINTS_PER_INCH = 72
#: Placeholder colours, and what stands in the page for them.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
IO, ACTIVATION, SCRATCH, ON_FILL = "#040404", "#050505", "#060606", "#070707"
PEAK, PAPER, WEAK = "#080808", "#090909", "#0a0a0a"
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", IO: "io", ACTIVATION: "activation",
    SCRATCH: "scratch", ON_FILL: "on-fill", PEAK: "peak", PAPER: "paper", WEAK: "weak",
}  # fmt: skip
#: Decibels below which a bar is marked: under 10 dB the noise is a tenth of the signal's power.
WEAK_DB = 10.0

_FONT_POINTS = 8.0
_LETTER_POINTS = 5.0  # mean width of a letter at that size


def _style(salt: str) -> dict[str, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.size": _FONT_POINTS,
        "font.family": "DejaVu Sans",
        "text.parse_math": False,
        "text.color": INK,
        "axes.edgecolor": GRID,
        "axes.labelcolor": MUTED,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "path.simplify": False,
        "hatch.linewidth": 0.7,
    }


def draw(salt: str, height: float, paint: Callable[[Any], Mapping[str, str]], alt: str) -> str:
    """Draw axes of ``height`` inches; ``paint`` gives the tooltips of elements by their id."""
    import matplotlib
    from matplotlib.figure import Figure

    # Names in a script that the font lacks only matter to matplotlib's own idea of their width.
    with matplotlib.rc_context(_style(salt)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(_WIDTH_INCHES, height))
        axes = figure.subplots()
        left, right, bottom, top = 0.72, 0.12, 0.5, 0.22
        figure.subplots_adjust(
            left / _WIDTH_INCHES, bottom / height, 1 - right / _WIDTH_INCHES, 1 - top / height
        )
        tooltips = paint(axes)
        stream = StringIO()
        figure.savefig(
            stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(stream.getvalue(), tooltips, alt)


def _inline(svg: str, tooltips: Mapping[str, str], alt: str) -> str:
    """Make an SVG file a part of a page: no prolog, no namespaces, no sheet of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.S
    )
    for name, text in tooltips.items():
        title = f"<title>{html.escape(text)}</title>"
        svg = svg.replace(f'<g id="{name}">', f"<g>{title}", 1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    label = html.escape(alt, quote=True)
    opening = f'<svg class="figure" role="img" aria-label="{label}" {box.group()}>'
    svg = re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return _shorter_paths(svg)


def _shorter_paths(svg: str) -> str:
    """Without white space between elements, and paths to a hundredth of a point."""

    def shorter(path: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path.group().split()))

    svg = re.sub(r'\bd="[^"]*"', shorter, svg)
    return re.sub(r">\s+<", "><", svg).strip()


def byte_step(total: int) -> int:
    """Distance of ticks: the power of two that gives four to eight of them."""
    return 1 << max(2, math.ceil(math.log2(max(total, 1) / 8)))


def bytes_label(value: float) -> str:
    """A round number of bytes, short: ``48 KiB``, ``512 B``."""
    return f"{value / 1024:g} KiB" if value >= 1024 else f"{value:g} B"


def grouped(value: int) -> str:
    """Digits in groups of three."""
    return f"{value:,}".replace(",", "\u202f")


def usage(plan: Plan) -> dict[int, int]:
    """Bytes in use at each step, buffers rounded up to the alignment; shared ones count once."""
    steps = sorted({s for b in plan.buffers for s in range(b.first, b.last + 1)})
    return {step: _bytes_in_use(plan, step) for step in steps}


def _bytes_in_use(plan: Plan, step: int) -> int:
    total = end = 0
    alive = [b for b in plan.buffers if b.first <= step <= b.last]
    for start, size in sorted((plan.offsets[b.name], aligned(b.size)) for b in alive):
        total += max(0, start + size - max(start, end))
        end = max(end, start + size)
    return total


@dataclass(frozen=True)
class Overwritten:
    """Bytes from ``start`` to ``end`` where a layer writes one buffer over another one."""

    step: int
    written: str
    read: str
    start: int
    end: int


def overwritten(plan: Plan) -> list[Overwritten]:
    """Where a plan makes use of its overlaps, step by step."""
    buffers = {b.name: b for b in plan.buffers}
    found: dict[frozenset[str], Overwritten] = {}
    for overlap in plan.overlaps:
        written, read = buffers[overlap.written], buffers[overlap.read]
        starts = [plan.offsets[b.name] for b in (written, read)]
        end = min(start + b.size for start, b in zip(starts, (written, read), strict=True))
        if max(starts) < end and overlap.allows(*starts):
            over = Overwritten(written.first, written.name, read.name, max(starts), end)
            found.setdefault(frozenset((written.name, read.name)), over)
    return sorted(found.values(), key=lambda o: (o.step, o.start))


def kind_of(buffer: Buffer, graph: Graph) -> str:
    """What a buffer holds: a key of `FILL`."""
    if buffer.name in graph.inputs:
        return "input"
    if buffer.name in graph.tensors:
        return "output" if buffer.last >= len(graph.nodes) else "activation"
    if buffer.name in (STREAM_STATE, STREAM_POSITION):
        return "state"
    return "rows" if buffer.name in map(rows_name, graph.tensors) else "scratch"


#: The colours of what buffers hold.
FILL = {
    "input": IO, "output": IO, "activation": ACTIVATION, "rows": ACTIVATION,
    "scratch": SCRATCH, "state": SCRATCH,
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Where the steps of a plan lie in the memory map, whose network has ``last`` layers.

    All layers ``in_bands``, the first ones, are one step of the plan, and one wider column.
    """

    last: int
    in_bands: int = 0

    @property
    def first(self) -> int:
        """The first step that has a column behind the input's."""
        return max(self.in_bands - 1, 0)

    @property
    def _extra(self) -> int:
        """By how much the column of the layers in bands is wider than another one."""
        return 2 if self.in_bands else 0

    @property
    def end(self) -> int:
        """Behind the last column."""
        return self.right(self.last)

    def left(self, step: int) -> int:
        """Where the column of a step begins."""
        return self.right(step - 1)

    def right(self, step: int) -> int:
        """Where the column of a step ends."""
        if step < 0:
            return step + 1
        return 0 if step < self.first else step - self.first + 1 + self._extra

    def title(self, step: int) -> str:
        """A step in words."""
        if step < 0:
            return "before layer 0"
        if step >= self.last:
            return "after the last layer"
        return f"layers {self.label(step)}" if self._is_stream(step) else f"layer {step}"

    def label(self, step: int) -> str:
        """The layers of a step, short."""
        return f"0\u2013{step}" if self._is_stream(step) else str(step)

    def _is_stream(self, step: int) -> bool:
        return step == self.first and self.in_bands > 1


def _shorter(name: str) -> list[str]:
    """A name, and what still tells it from others: TensorFlow's have the names of scopes before
    them, and those of fused operators behind. Rows of a tensor stay rows.

    >>> _shorter("model/act/Relu;model/add")
    ['model/act/Relu;model/add', 'model/act/Relu', 'act/Relu']
    >>> _shorter("rows of model/act/Relu")
    ['rows of model/act/Relu', 'rows of act/Relu']
    """
    rows = rows_name("")
    prefix = rows if name.startswith(rows) else ""
    parts = name.removeprefix(rows).split(";")[0].split("/")
    ends = [prefix + "/".join(parts[i:]) for i in range(max(1, len(parts) - 1))]
    return list(dict.fromkeys([name, *ends]))


def _label(number: int, name: str, width: float, height: float) -> tuple[str, int]:
    """Text of a rectangle of so many points, and its rotation: number, and name if it fits."""
    if min(width, height) < _FONT_POINTS + 1:
        return "", 0
    along, rotation = (width, 0) if width >= height or width > 90 else (height, 90)
    texts = [f"{number}  {text}" for text in _shorter(name)]
    room = int((along - 6) / _LETTER_POINTS)
    for text in texts:
        if len(text) <= room:
            return text, rotation
    if room >= 10:
        return texts[-1][: room - 1] + "…", rotation
    return (str(number), 0) if len(str(number)) * _LETTER_POINTS < width - 2 else ("", 0)


def memory_map(graph: Graph, plan: Plan, names: Mapping[str, str], in_bands: int = 0) -> str:
    """Address over time: one rectangle for each buffer, numbered in the plan's order.

    What is written over what is read for the last time is hatched.
    ``names`` maps the buffers' names to text that is fit to be shown; the first layers may be
    ``in_bands`` of rows.
    """
    columns = Columns(len(graph.nodes), in_bands)
    height = 4.6
    plot_width = (_WIDTH_INCHES - 0.84) * _POINTS_PER_INCH
    plot_height = (height - 0.72) * _POINTS_PER_INCH
    top = max(plan.arena_bytes, 1)
    in_use = usage(plan)
    peak = max(in_use, key=lambda s: (in_use[s], -s), default=0)
    covered = overwritten(plan)
    # Labels keep to where the middle third of their buffer is not hatched.
    middles = {
        b.name: (plan.offsets[b.name] + b.size / 3, plan.offsets[b.name] + b.size * 2 / 3)
        for b in plan.buffers
    }
    hatched = {
        (name, o.step)
        for o in covered
        for name in (o.read, o.written)
        if o.start < middles[name][1] and middles[name][0] < o.end
    }

    def paint(axes: Any) -> dict[str, str]:
        from matplotlib.patches import Rectangle

        axes.set_xlim(-1, columns.end)
        axes.set_ylim(0, top * 1.06)
        tooltips = {}
        for number, b in enumerate(plan.buffers):
            offset, start = plan.offsets[b.name], columns.left(b.first)
            patch = Rectangle(
                (start, offset), columns.right(b.last) - start, b.size,
                facecolor=FILL[kind_of(b, graph)], edgecolor=PAPER, linewidth=0.9,
            )  # fmt: skip
            patch.set_gid(f"buffer{number}")
            axes.add_patch(patch)
            tooltips[f"buffer{number}"] = f"{number}: {names[b.name]}, {b.size} bytes at {offset}"
            steps = range(b.first, b.last + 1)
            plain = [s for s in steps if (b.name, s) not in hatched] or steps[:1]
            left = columns.left(plain[0])
            seen = columns.right(plain[-1]) - left
            text, rotation = _label(
                number,
                names[b.name],
                seen / (columns.end + 1) * plot_width,
                b.size / (top * 1.06) * plot_height,
            )
            if text:
                axes.text(
                    left + seen / 2, offset + b.size / 2, text, color=ON_FILL, ha="center",
                    va="center", rotation=rotation, rotation_mode="anchor", fontsize=_FONT_POINTS,
                )  # fmt: skip
        tooltips |= _mark_overwritten(axes, covered, names, columns)
        _mark_arena(axes, plan.arena_bytes, columns, peak)
        _step_ticks(axes, columns)
        step = byte_step(top)
        axes.set_yticks(range(0, top + 1, step), [bytes_label(v) for v in range(0, top + 1, step)])
        axes.set_xlabel("layer")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("memory-map", height, paint, "Memory map: address of every buffer over the layers")


def _mark_overwritten(
    axes: Any, covered: Sequence[Overwritten], names: Mapping[str, str], columns: Columns
) -> dict[str, str]:
    """Hatch the bytes that a layer writes over as it reads them; the tooltips by their ids."""
    from matplotlib.patches import Rectangle

    tooltips = {}
    for number, o in enumerate(covered):
        left = columns.left(o.step)
        patch = Rectangle(
            (left, o.start), columns.right(o.step) - left, o.end - o.start,
            facecolor="none", edgecolor=ON_FILL, hatch="////", linewidth=0.9, linestyle=(0, (2, 2)),
        )  # fmt: skip
        patch.set_gid(f"overwritten{number}")
        axes.add_patch(patch)
        tooltips[f"overwritten{number}"] = (
            f"{columns.title(o.step)}: {names[o.written]} is written over "
            f"{o.end - o.start} bytes of {names[o.read]}"
        )
    return tooltips


def _mark_arena(axes: Any, arena: int, columns: Columns, peak: int) -> None:
    """The arena's end and the busiest step, their words in opposite halves of the figure."""
    begin, end = columns.left(peak), columns.right(peak)
    axes.axhline(arena, color=PEAK, linewidth=1.1, linestyle=(0, (4, 3)))
    for height in (0, arena):
        axes.plot(
            [begin, end], [height, height], color=PEAK, linewidth=3.5, solid_capstyle="butt",
            clip_on=False,
        )  # fmt: skip
    peak_is_left = begin < (columns.end - 1) / 2
    words = {"textcoords": "offset points", "color": PEAK, "va": "bottom"}
    axes.annotate(
        f"arena {grouped(arena)} bytes",
        (columns.end if peak_is_left else -1, arena),
        xytext=(-2 if peak_is_left else 3, 3),
        ha="right" if peak_is_left else "left",
        **words,
    )
    axes.annotate(
        f"peak: {columns.title(peak)}",
        (begin if peak_is_left else end, arena),
        xytext=(0, 3),
        ha="left" if peak_is_left else "right",
        **words,
    )


def _step_ticks(axes: Any, columns: Columns) -> None:
    """Layer numbers under the middle of their column, thinned out where there are many."""
    every = max(1, math.ceil(columns.last / 32))
    there = range(columns.first, columns.last)
    shown = [-1, *(s for s in there if s % every == 0 or s == columns.first), columns.last]
    labels = ["in", *map(columns.label, shown[1:-1]), "out"]
    axes.set_xticks([(columns.left(s) + columns.right(s)) / 2 for s in shown], labels)


def sqnr_chart(errors: Sequence[LayerError], names: Mapping[str, str]) -> str:
    """One bar a tensor, in decibels; a tensor without any error reaches the top."""
    finite = [e.sqnr_db for e in errors if math.isfinite(e.sqnr_db)]
    top = max([40.0, *(value * 1.08 for value in finite)])
    bottom = min([0.0, *(value * 1.15 for value in finite)])

    def paint(axes: Any) -> dict[str, str]:
        tooltips = {}
        for i, error in enumerate(errors):
            value = min(max(error.sqnr_db, bottom), top)
            colour = WEAK if error.sqnr_db < WEAK_DB else ACTIVATION
            (bar,) = axes.bar([i], [value], width=0.72, color=colour)
            bar.set_gid(f"bar{i}")
            tooltips[f"bar{i}"] = (
                f"{names[error.tensor]} ({error.op}): {decibels(error.sqnr_db)} dB"
            )
            if len(errors) <= 32:
                axes.annotate(
                    decibels(error.sqnr_db), (i, max(value, 0.0)), textcoords="offset points",
                    xytext=(0, 2.5), ha="center", fontsize=7, color=INK,
                )  # fmt: skip
        axes.axhline(0, color=GRID, linewidth=0.8)
        axes.axhline(WEAK_DB, color=WEAK, linewidth=0.8, linestyle=(0, (4, 3)))
        every = max(1, math.ceil(len(errors) / 32))
        shown = range(0, len(errors), every)
        axes.set_xticks(list(shown), [str(i) for i in shown])
        axes.set_xlim(-0.7, len(errors) - 0.3)
        axes.set_ylim(bottom, top * 1.04)
        axes.set_ylabel("SQNR, dB")
        axes.set_xlabel("tensor, in execution order")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("sqnr", 2.7, paint, "Signal-to-quantization-noise ratio of every tensor")


def cycles_chart(profile: Profile) -> str:
    """One bar a layer, in thousands of cycles."""
    layers = profile.layers

    def paint(axes: Any) -> dict[str, str]:
        tooltips = {}
        for i, layer in enumerate(layers):
            (bar,) = axes.bar([i], [layer.count.cycles / 1000], width=0.72, color=ACTIVATION)
            bar.set_gid(f"cycles{i}")
            tooltips[f"cycles{i}"] = f"{layer.op}: {layer.count.cycles:,} cycles"
        every = max(1, math.ceil(len(layers) / 32))
        shown = range(0, len(layers), every)
        axes.set_xticks(list(shown), [str(layers[i].index) for i in shown])
        axes.set_xlim(-0.7, len(layers) - 0.3)
        axes.set_ylabel("thousand cycles")
        axes.set_xlabel("layer")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("cycles", 2.4, paint, "Cycles of every layer")


def decibels(value: float) -> str:
    """One decimal, and words of one sign for the two infinities."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.1f}".replace("-", "−")
