"""What the report says of accuracy: classes, layers alone, ranges of activations and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.ir import Array, Graph, Node, Tensor
from edgecnn.metrics import ClassScores
from edgecnn.operators import operator
from edgecnn.quantization.error import LayerError
from edgecnn.quantization.sensitivity import LayerTable
from firmware_export.report_figures import (
    ACTIVATION,
    GRID,
    INK,
    IO,
    ON_FILL,
    WEAK,
    draw,
    grouped,
)

#: Confusion matrices of more classes would be a page of dots.
DRAWN_CLASSES = 30
#: How far beyond the range of the int8 values a bar is drawn, in widths of that range.
BEYOND = 0.35


def confusion_chart(scores: ClassScores | None) -> str:
    """A square for each pair of classes that there are samples of, the darker the more of them.

    Those off the diagonal are of the colour of errors. Empty for no scores, or many classes.
    """
    if scores is None or len(scores.confusion) > DRAWN_CLASSES:
        return ""
    matrix = scores.confusion
    classes = len(matrix)

    def paint(axes: Any) -> dict[str, str]:
        from matplotlib.patches import Rectangle

        tooltips = {}
        for label, row in enumerate(matrix):
            for named, count in enumerate(row):
                if not count:
                    continue
                share = count / sum(row)
                colour = IO if label == named else WEAK
                patch = Rectangle(
                    (named - 0.48, label - 0.46), 0.96, 0.92, facecolor=colour, linewidth=0,
                    alpha=0.15 + 0.85 * share,
                )  # fmt: skip
                gid = f"cell{label}-{named}"
                patch.set_gid(gid)
                axes.add_patch(patch)
                tooltips[gid] = (
                    f"{label} taken for {named}: {count}, {100 * share:.1f} % of {label}"
                )
                if classes <= 20:
                    axes.text(
                        named, label, grouped(count), ha="center", va="center",
                        color=ON_FILL if share > 0.5 else INK, fontsize=7,
                    )  # fmt: skip
        every = max(1, math.ceil(classes / 20))
        ticks = list(range(0, classes, every))
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.set_yticks(ticks, list(map(str, ticks)))
        axes.set_xlim(-0.6, classes - 0.4)
        axes.set_ylim(classes - 0.4, -0.6)
        axes.set_xlabel("class that the int8 network names")
        axes.set_ylabel("label")
        axes.tick_params(length=2.5)
        return tooltips

    height = 0.9 + 0.27 * max(3, min(classes, 20))
    return draw("confusion", height, paint, "Confusion matrix of the int8 network")


# --- layers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerRow:
    """A layer: the errors that have come together there, and what it costs alone."""

    tensor: str
    op: str
    sqnr_db: float | None
    cosine: float | None
    alone_db: float
    alone_cosine: float | None
    accuracy: float | None
    is_costliest: bool


def layer_rows(table: LayerTable | None, names: Mapping[str, str]) -> list[LayerRow]:
    """A row each layer, in execution order; ``names`` has text that is fit to be shown."""
    if table is None:
        return []
    known = {error.tensor: error for error in table.errors}
    rows = []
    for cost in table.costs:
        error = known.get(cost.tensor)
        rows.append(
            LayerRow(
                names[cost.tensor],
                cost.op,
                None if error is None else error.sqnr_db,
                None if error is None else error.cosine,
                cost.sqnr_db,
                cost.cosine,
                cost.accuracy,
                cost is table.costliest,
            )
        )
    return rows


# --- ranges -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RangeRow:
    """What a tensor was seen to hold, and what its quantized values can stand for."""

    name: str
    low: float
    high: float
    covered_low: float
    covered_high: float

    @property
    def span(self) -> tuple[float, float]:
        """Where the values seen begin and end: 0 and 1 are the ends of what is covered."""
        width = self.covered_high - self.covered_low
        return (self.low - self.covered_low) / width, (self.high - self.covered_low) / width

    @property
    def title(self) -> str:
        """The row in words."""
        return (
            f"{self.name}: seen {self.low:.4g} to {self.high:.4g}, "
            f"covered {self.covered_low:.4g} to {self.covered_high:.4g}"
        )


def range_rows(
    errors: Sequence[LayerError] | None, graph: Graph, names: Mapping[str, str]
) -> list[RangeRow]:
    """The tensors whose values were seen."""
    return [
        RangeRow(names[e.tensor], e.low, e.high, *_covered(graph.tensors[e.tensor]))
        for e in errors or ()
    ]


def _covered(tensor: Tensor) -> tuple[float, float]:
    limits = np.iinfo(tensor.dtype)
    low, high = (tensor.scale * (end - tensor.zero_point) for end in (limits.min, limits.max))
    return low, high


def ranges_chart(rows: Sequence[RangeRow]) -> str:
    """A bar each tensor: what was seen, within what its int8 values cover."""
    if not rows:
        return ""

    def paint(axes: Any) -> dict[str, str]:
        tooltips = {}
        for i, row in enumerate(rows):
            low, high = (min(max(end, -BEYOND), 1 + BEYOND) for end in row.span)
            (cover,) = axes.bar([i], [1.0], width=0.8, color=ACTIVATION, alpha=0.25)
            cover.set_gid(f"cover{i}")
            tooltips[f"cover{i}"] = row.title
            inside = (max(low, 0.0), min(high, 1.0))
            for begin, end, colour in (
                (*inside, ACTIVATION), (low, min(high, 0.0), WEAK), (max(low, 1.0), high, WEAK),
            ):  # fmt: skip
                if end > begin:
                    axes.bar([i], [end - begin], bottom=begin, width=0.42, color=colour)
        every = max(1, math.ceil(len(rows) / 32))
        shown = range(0, len(rows), every)
        axes.set_xticks(list(shown), [str(i) for i in shown])
        axes.set_yticks([0, 1], ["lowest", "highest"])
        axes.set_xlim(-0.7, len(rows) - 0.3)
        axes.set_ylim(-BEYOND - 0.05, 1 + BEYOND + 0.05)
        for end in (0, 1):
            axes.axhline(end, color=GRID, linewidth=0.8)
        axes.set_xlabel("tensor, in execution order")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("ranges", 2.6, paint, "Range of every tensor within what its int8 values cover")


# --- weights ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class WeightRow:
    """The weights of a layer: the largest absolute value of each output channel, in real units."""

    layer: int
    name: str
    largest: Array


def weight_rows(graph: Graph, names: Mapping[str, str]) -> list[WeightRow]:
    """The layers of an int8 graph that have weights."""
    return [
        WeightRow(i, names[node.output], largest)
        for i, node in enumerate(graph.nodes)
        for largest in _largest(node, graph)
    ]


def _largest(node: Node, graph: Graph) -> list[Array]:
    """The largest weight of each channel, for each of the weights of a node."""
    op = operator(node.op)
    found = []
    for position in op.weight_biases if op.weights_axis is not None else ():
        tensor = graph.tensors[node.inputs[position]]
        if tensor.data is None or tensor.quant is None or not tensor.shape:
            continue
        axis = op.weights_axis if op.weights_axis is not None else 0
        others = tuple(i for i in range(len(tensor.shape)) if i != axis % len(tensor.shape))
        steps = np.abs(tensor.data.astype(np.int64)).max(axis=others, initial=0)
        found.append(steps * np.array(tensor.quant.scale))
    return found


def weights_chart(rows: Sequence[WeightRow]) -> str:
    """For each layer from its channel with the smallest weights to that with the largest.

    The bar holds the middle half of the channels, on a logarithmic scale.
    """
    drawn = [row for row in rows if (row.largest > 0).any()]
    if not drawn:
        return ""

    def paint(axes: Any) -> dict[str, str]:
        tooltips = {}
        for i, row in enumerate(drawn):
            there = np.sort(row.largest[row.largest > 0])
            low, first, middle, third, high = np.quantile(there, [0, 0.25, 0.5, 0.75, 1])
            axes.plot([i, i], [low, high], color=ACTIVATION, linewidth=1.2, solid_capstyle="butt")
            (bar,) = axes.bar([i], [third - first], bottom=first, width=0.6, color=ACTIVATION)
            bar.set_gid(f"weights{i}")
            axes.plot([i - 0.3, i + 0.3], [middle, middle], color=INK, linewidth=1.2)
            tooltips[f"weights{i}"] = (
                f"layer {row.layer}, {row.name}: {len(row.largest)} channels, {low:.3g} to "
                f"{high:.3g}, middle {middle:.3g}"
            )
        axes.set_yscale("log")
        axes.minorticks_off()
        lowest = min(float(row.largest[row.largest > 0].min()) for row in drawn)
        highest = max(float(row.largest.max()) for row in drawn)
        axes.set_ylim(lowest / 1.3, highest * 1.3)
        ends = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
        ticks = [10.0**e for e in ends if lowest / 1.3 <= 10.0**e <= highest * 1.3]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        every = max(1, math.ceil(len(drawn) / 32))
        shown = range(0, len(drawn), every)
        axes.set_xticks(list(shown), [str(drawn[i].layer) for i in shown])
        axes.set_xlim(-0.7, len(drawn) - 0.3)
        axes.set_ylabel("largest |weight|")
        axes.set_xlabel("layer")
        axes.tick_params(length=2.5)
        return tooltips

    return draw("weights", 2.6, paint, "Largest weights of the channels of every layer")
