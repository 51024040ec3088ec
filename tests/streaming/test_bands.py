"""A layer on bands of rows gives the rows of the layer on all, for the cases of every operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecnn.ir import Array, Graph
from edgecnn.operators import operator, operators
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from edgecnn.windows import RowWindow
from firmware_export.streaming.bands import band, window_of
from tests.generated_networks import ALL_CASES
from tests.ops.case_table import Case, Value, build
from tests.ops.test_conv2d import conv


def only(case: Case) -> tuple[Graph, RowWindow | None]:
    graph = build([case])
    return graph, window_of(graph, graph.nodes[0])


def rows_of(x: Array, first: int, count: int, fill: int | None) -> Array:
    """Rows of (samples, 1, H, W, C) from ``first`` on; those outside of the image are ``fill``."""
    inside = x[:, :, max(0, first) : max(0, first + count)]
    above, below = max(0, -first), max(0, first + count - x.shape[2])
    if not above and not below:
        return inside
    assert fill is not None
    sides = [(0, 0), (0, 0), (min(above, count), min(below, count)), (0, 0), (0, 0)]
    return np.pad(inside, sides, constant_values=fill)


def check_bands(graph: Graph, window: RowWindow) -> int:
    """All rows, in bands of each size that parts them; how many bands there were."""
    (node,) = graph.nodes
    feeds = random_feeds(graph, 1, 0)
    whole = run_int(graph, feeds)[node.output]
    height, checked = whole.shape[2], 0
    for rows in (n for n in range(1, height + 1) if height % n == 0):
        cut = band(graph, node, window, rows)
        for begin in range(0, height, rows):
            first = begin * window.stride - window.above
            part = {n: rows_of(x, first, window.rows(rows), window.fill) for n, x in feeds.items()}
            got = run_int(cut, part)[node.output]
            np.testing.assert_array_equal(got, whole[:, :, begin : begin + rows])
            checked += 1
    return checked


def pads_without_fill(graph: Graph, window: RowWindow) -> bool:
    """Whether an average has fewer values at the upper or lower edge."""
    (node,) = graph.nodes
    height = graph.tensors[graph.inputs[0]].shape[1]
    outputs = graph.tensors[node.output].shape[1]
    below = window.rows(outputs) - window.above > height
    return window.fill is None and (window.above > 0 or below)


def as_image(case: Case) -> Case:
    """The case on an image, where it is of a function of single values."""
    (x, *others) = case.inputs
    if others or not operator(case.op).is_elementwise or not isinstance(x, Value):
        return case
    return replace(case, inputs=[replace(x, shape=(1, 6, 3, 2))])


@pytest.mark.parametrize("op", sorted({case.op for case in ALL_CASES}))
def test_bands_give_the_rows_of_the_whole(op: str) -> None:
    checked = 0
    for case in map(as_image, ALL_CASES):
        if case.op == op:
            graph, window = only(case)
            if window is not None and not pads_without_fill(graph, window):
                checked += check_bands(graph, window)
    assert (checked > 0) == (op in IN_BANDS)


#: Operators with cases that can run in bands: windows, and what is elementwise.
IN_BANDS = {"conv2d", "depthwise_conv2d", "max_pool2d", "average_pool2d"} | {
    name for name, op in operators().items() if op.is_elementwise and not op.is_float_only
}


def test_what_is_asked_of_the_kernel() -> None:
    graph, window = only(conv("strided", (8, 4, 2), (3, 3, 3, 2), stride=(2, 1), padding=(1,) * 4))
    assert window is not None
    cut = band(graph, graph.nodes[0], window, 2)
    (x,) = cut.inputs
    assert cut.tensors[x].shape == (1, 5, 4, 2)
    assert cut.tensors["strided"].shape == (1, 2, 4, 3)
    (node,) = cut.nodes
    assert node.attributes == Conv2DAttributes((2, 1), (0, 0, 1, 1))
    shapes = [cut.tensors[name].shape if name else () for name in node.inputs]
    assert operator("conv2d").infer_shapes(node.attributes, shapes) == ((1, 2, 4, 3),)


@pytest.mark.parametrize("shape", [(1, 8, 4), (8, 4), (2, 8, 4, 3), (1, 2, 8, 4, 3)])
def test_what_is_no_image(shape: tuple[int, ...]) -> None:
    assert only(Case("a", "relu", [Value(shape)]))[1] is None


def test_elementwise_layers_need_images_of_one_shape() -> None:
    alike, other = Value((1, 6, 4, 2)), Value((1, 1, 4, 2))
    assert only(Case("a", "add", [alike, alike], output=(0.1, 0)))[1] is not None
    assert only(Case("a", "add", [alike, other], output=(0.1, 0)))[1] is None
