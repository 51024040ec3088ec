from __future__ import annotations

import numpy as np
import pytest

from edgecnn.ir import Attributes, Graph, QuantParams
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.fuse_pad import fuse_pad, turn_pads
from tests.passes.graphs import Sketch, assert_same, with_tensor
from tests.passes.int8_graphs import arbitrary_int8, run_as_given
from tests.torch_helpers import counts

BORDER = ((0, 0), (1, 0), (2, 1), (0, 0))
READERS: dict[str, tuple[Attributes, tuple[int, ...] | None]] = {
    "conv2d": (Conv2DAttributes((2, 1), (1, 1, 0, 0), (1, 2)), (4, 3, 2, 3)),
    "depthwise_conv2d": (DepthwiseConv2DAttributes((2, 1)), (1, 3, 2, 3)),
    "max_pool2d": (MaxPool2DAttributes((3, 4), (2, 1)), None),
    "average_pool2d": (AveragePool2DAttributes((3, 3)), None),
}


def padded(op: str, border: tuple[tuple[int, int], ...] = BORDER, value: float = 0.0) -> Graph:
    s = Sketch(1, 6, 5, 3 - sum(border[3]))
    y = s.emit("pad", [s.x], PadAttributes(border, value), "padded")
    attributes, weights = READERS[op]
    constants = [] if weights is None else [s.random("w", *weights), None]
    return s.graph(s.emit(op, [y, *constants], attributes))


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d"])
def test_convolutions_pad_with_zeros(op: str) -> None:
    before = padded(op)
    after = fuse_pad(before)
    assert_same(before, after)
    assert counts(after) == {op: 1}


def test_maximum_pooling_pads_with_the_lowest() -> None:
    before = padded("max_pool2d", value=-np.inf)
    after = fuse_pad(before)
    assert_same(before, after)
    assert counts(after) == {"max_pool2d": 1}


KEPT = {
    "average pooling": ("average_pool2d", BORDER, 0.0),
    "zeros before a maximum": ("max_pool2d", BORDER, 0.0),
    "ones before a convolution": ("conv2d", BORDER, 1.0),
    "channels": ("conv2d", ((0, 0), (1, 1), (1, 1), (1, 0)), 0.0),
    "windows in the border": ("max_pool2d", ((0, 0), (3, 0), (0, 0), (0, 0)), -np.inf),
}


@pytest.mark.parametrize("case", KEPT)
def test_leaves_other_borders(case: str) -> None:
    before = padded(*KEPT[case])
    assert fuse_pad(before).nodes == before.nodes


def test_leaves_a_border_that_others_read() -> None:
    s = Sketch(1, 6, 5, 3)
    y = s.emit("pad", [s.x], PadAttributes(BORDER), "padded")
    conv = s.emit("conv2d", [y, s.random("w", 4, 3, 3, 3), None], Conv2DAttributes())
    before = s.graph(conv, s.emit("relu", [y]))
    assert fuse_pad(before).nodes == before.nodes


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d"])
def test_int8_convolutions_pad_with_the_zero_point(op: str) -> None:
    before = arbitrary_int8(padded(op))
    after = fuse_pad(before)
    assert counts(after) == {op: 1}
    np.testing.assert_array_equal(run_as_given(after)[0], run_as_given(before)[0])


@pytest.mark.parametrize(("byte", "fused"), [(-128, True), (-127, False)])
def test_int8_maximum_pooling_pads_with_the_lowest_byte(byte: int, fused: bool) -> None:
    quant = QuantParams.per_tensor(0.05, 7)
    value = quant.scale[0] * (byte - 7)
    before = arbitrary_int8(padded("max_pool2d", value=value))
    for name in before.activations():
        before = with_tensor(before, name, quant=quant)
    after = fuse_pad(before)
    assert counts(after)["pad"] == (0 if fused else 1)
    np.testing.assert_array_equal(run_as_given(after)[0], run_as_given(before)[0])


def test_int8_border_that_changes_the_scale_is_left_alone() -> None:
    graph = arbitrary_int8(padded("conv2d"))
    graph = with_tensor(graph, "padded", quant=QuantParams.per_tensor(0.5, 3))
    assert fuse_pad(graph).nodes == graph.nodes


def reshaped(pads: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> Graph:
    s = Sketch(1, 7, 3)
    y = s.emit("pad", [s.x], PadAttributes(pads, 0.5))
    return s.graph(s.emit("relu", [s.emit("reshape", [y], ReshapeAttributes(shape))]))


def order(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("shape", [(1, 1, 10, 3), (1, 10, 1, 3), (10, 3), (1, 10, 3, 1)])
def test_a_padded_sequence_becomes_a_padded_image(shape: tuple[int, ...]) -> None:
    before = reshaped(((0, 0), (2, 1), (0, 0)), shape)
    after = turn_pads(before)
    assert_same(before, after)
    assert order(after) == ["reshape", "pad", "relu"]


@pytest.mark.parametrize(
    ("pads", "shape"),
    [
        (((0, 0), (2, 1), (0, 0)), (1, 5, 2, 3)),  # splits an axis
        (((0, 0), (-3, -3), (0, 0)), (1, 1, 3)),  # the axis is cut down to 1
        (((0, 0), (2, 1), (0, 0)), (1, 1, 1, 10, 3)),  # more axes than PAD takes
    ],
)
def test_other_reshapes_stay_behind_pads(
    pads: tuple[tuple[int, int], ...], shape: tuple[int, ...]
) -> None:
    before = reshaped(pads, shape)
    assert order(turn_pads(before)) == ["pad", "reshape", "relu"]
