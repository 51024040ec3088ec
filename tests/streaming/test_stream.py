"""Which networks can run in bands of rows, and what stages and lines they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.errors import InvariantError
from edgecnn.ir import Attributes, Graph, Node, QuantParams, Shape, Tensor
from edgecnn.operators import operator
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.windows import Padding, Pair
from firmware_export.exporters import Distance
from firmware_export.streaming.schedule import Line, Reader, Stage
from firmware_export.streaming.stream import BandLayer, Stream, make, windows
from tests.streaming.networks import band_layers, stream_of

QUANT = QuantParams.per_tensor(0.05, 3)


class Sketch:
    """A network of images, written down layer by layer; all have the same scale."""

    def __init__(self, *shapes: Shape) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs = tuple(f"x{i}" for i in range(len(shapes)))
        for name, shape in zip(self.inputs, shapes, strict=True):
            self.tensors[name] = Tensor(name, shape, "int8", None, QUANT)

    def emit(self, op: str, inputs: Sequence[str], attributes: Attributes | None = None) -> str:
        found = operator(op).attributes() if attributes is None else attributes
        shapes = [self.tensors[n].shape if n else () for n in inputs]
        (shape,) = operator(op).infer_shapes(found, shapes)
        name = f"{op}{len(self.nodes)}"
        self.tensors[name] = Tensor(name, shape, "int8", None, QUANT)
        self.nodes.append(Node(op, tuple(inputs), (name,), found))
        return name

    def constant(self, *shape: int) -> str:
        name = f"constant{len(self.tensors)}"
        data = np.ones(shape, np.int8)
        quant = QuantParams.per_tensor(0.01, 0)
        self.tensors[name] = Tensor(name, shape, "int8", data, quant)
        return name

    def conv(
        self,
        x: str,
        size: Pair = (3, 3),
        padding: Padding = (1, 1, 1, 1),
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
    ) -> str:
        channels = self.tensors[x].shape[3]
        attributes = Conv2DAttributes(stride, padding, dilation)
        weights = self.constant(channels, *size, channels)
        return self.emit("conv2d", [x, weights, ""], attributes)

    def max_pool(self, x: str, size: int, padding: Padding = (0, 0, 0, 0)) -> str:
        return self.emit("max_pool2d", [x], MaxPool2DAttributes((size, 1), (1, 1), padding))

    def average_pool(self, x: str, size: int, padding: Padding = (0, 0, 0, 0)) -> str:
        attributes = AveragePool2DAttributes((size, 1), (1, 1), padding)
        return self.emit("average_pool2d", [x], attributes)

    def add(self, x: str, y: str) -> str:
        return self.emit("add", [x, y], AddAttributes())

    def mean(self, x: str) -> str:
        return self.emit("mean", [x], MeanAttributes((1, 2)))

    def graph(self, *outputs: str) -> Graph:
        last = self.nodes[-1].output
        return Graph("net", tuple(self.nodes), self.tensors, self.inputs, (*outputs, last))


def image(height: int = 8, width: int = 4, channels: int = 2) -> Shape:
    return 1, height, width, channels


def possible(graph: Graph) -> int:
    return len(windows(graph))


# --- how many of the first nodes ------------------------------------------------------------------


def test_a_mean_ends_the_stream() -> None:
    net = Sketch(image())
    net.mean(net.emit("relu", [net.conv("x0")]))
    assert possible(net.graph()) == 2


def test_all_nodes() -> None:
    net = Sketch(image())
    net.max_pool(net.conv("x0"), 2)
    assert possible(net.graph()) == 2


def test_two_inputs() -> None:
    net = Sketch(image(), image())
    net.add(net.conv("x0"), net.conv("x1"))
    assert possible(net.graph()) == 0


def test_a_batch() -> None:
    net = Sketch((2, 8, 4, 2))
    net.conv("x0")
    assert possible(net.graph()) == 0


def test_an_input_that_is_no_image() -> None:
    net = Sketch((1, 8, 4))
    net.emit("relu", ["x0"])
    assert possible(net.graph()) == 0


def test_an_input_that_is_an_output() -> None:
    net = Sketch(image())
    net.conv("x0")
    assert possible(net.graph("x0")) == 0


def test_an_input_that_is_read_after_the_stream() -> None:
    net = Sketch(image())
    scores = net.mean(net.conv("x0"))
    net.add(net.mean("x0"), scores)
    assert possible(net.graph()) == 0


def test_an_input_that_is_read_late_in_the_stream() -> None:
    net = Sketch(image())
    net.mean(net.add(net.conv(net.conv("x0")), "x0"))
    assert possible(net.graph()) == 3


def test_more_rows_than_places_have_bits() -> None:
    for height, count in ((1 << 15, 1), ((1 << 15) + 1, 0)):
        net = Sketch(image(height, 1, 1))
        net.emit("relu", ["x0"])
        assert possible(net.graph()) == count


def test_a_constant_for_each_row_ends_the_stream() -> None:
    """A row of the image would need a row of the constant."""
    for shape, count in (
        ((2,), 1),
        ((4, 2), 1),
        ((1, 1, 4, 2), 1),
        ((1, 8, 4, 2), 0),
        ((8, 1, 1), 0),
    ):
        net = Sketch(image())
        net.add("x0", net.constant(*shape))
        assert possible(net.graph()) == count, shape


def test_a_sum_that_repeats_rows_ends_the_stream() -> None:
    net = Sketch(image())
    one = net.conv("x0", (8, 3), (0, 0, 1, 1))
    assert net.tensors[one].shape == image(1)
    net.add(one, "x0")
    assert possible(net.graph()) == 0  # the input is read by the sum
    net = Sketch(image())
    same = net.conv("x0")
    net.add(net.conv(same, (8, 3), (0, 0, 1, 1)), same)
    assert possible(net.graph()) == 2


def test_more_bands_than_can_be() -> None:
    net = Sketch(image())
    net.mean(net.conv("x0"))
    graph = net.graph()
    (one,) = band_layers(graph, 1, 1)
    with pytest.raises(InvariantError, match="cannot be computed in bands"):
        make(graph, [one, one])


def test_bands_that_are_no_part_of_all_rows() -> None:
    net = Sketch(image(7))
    net.conv("x0")
    (one,) = band_layers(net.graph(), 1, 1)
    with pytest.raises(InvariantError, match=r"7 rows of 'conv2d0' are not bands of 2"):
        make(net.graph(), [replace(one, rows=2)])


# --- windows and lines ----------------------------------------------------------------------------


def only_stage(net: Sketch, rows: int = 1) -> tuple[Line, Stage]:
    stream = stream_of(net.graph(), 1, rows)
    (stage,) = stream.stages
    return stream.lines[0], stage


def test_padding_above_and_below_is_in_the_line() -> None:
    net = Sketch(image())
    net.conv("x0")
    line, stage = only_stage(net)
    assert line == Line("x0", 8, 8, 1, 1, fill=3)
    assert stage == Stage((Reader(0, 0, 3, 1),), 1, 1, 8)


def test_bands_of_rows() -> None:
    net = Sketch(image())
    net.conv("x0")
    _, stage = only_stage(net, 4)
    assert stage == Stage((Reader(0, 0, 6, 4),), 1, 4, 2)


def test_stride_2_of_even_height_needs_padding_below_only() -> None:
    net = Sketch(image())
    net.conv("x0", padding=(0, 1, 1, 1), stride=(2, 2))
    line, stage = only_stage(net, 2)
    assert (line.above, line.below) == (0, 1)
    assert stage == Stage((Reader(0, 0, 5, 4),), 1, 2, 2)


def test_padding_that_no_window_reaches_is_not_there() -> None:
    net = Sketch(image())
    net.conv("x0", padding=(1, 1, 1, 1), stride=(2, 2))
    line, _ = only_stage(net)
    assert (line.above, line.below) == (1, 0)


def test_dilation() -> None:
    net = Sketch(image())
    net.conv("x0", padding=(2, 2, 1, 1), dilation=(2, 1))
    line, stage = only_stage(net, 2)
    assert (line.above, line.below) == (2, 2)
    assert stage == Stage((Reader(0, 0, 6, 2),), 1, 2, 4)


def test_one_row_of_two() -> None:
    """1x1 with stride 2: bands of two rows need three, not four."""
    net = Sketch(image())
    net.conv("x0", (1, 1), (0, 0, 0, 0), (2, 2))
    line, stage = only_stage(net, 2)
    assert (line.above, line.below) == (0, 0)
    assert stage == Stage((Reader(0, 0, 3, 4),), 1, 2, 2)


def test_a_1x1_convolution_with_padding_below() -> None:
    net = Sketch(image())
    net.conv("x0", (1, 1), (0, 1, 0, 0))
    line, stage = only_stage(net)
    assert (line.above, line.below, line.fill) == (0, 1, 3)
    assert stage.bands == 9


def test_a_maximum_is_padded_with_the_least() -> None:
    net = Sketch(image())
    net.max_pool("x0", 3, (1, 1, 0, 0))
    line, _ = only_stage(net)
    assert line == Line("x0", 8, 8, 1, 1, fill=-128)


def test_an_average_without_padding() -> None:
    net = Sketch(image())
    net.average_pool("x0", 3)
    line, stage = only_stage(net)
    assert (line.above, line.below) == (0, 0)
    assert stage == Stage((Reader(0, 0, 3, 1),), 1, 1, 6)


@pytest.mark.parametrize("padding", [(1, 0, 0, 0), (0, 1, 0, 0)])
def test_an_average_of_fewer_values_at_the_edge(padding: Padding) -> None:
    """No byte counts as nothing."""
    net = Sketch(image())
    net.average_pool("x0", 3, padding)
    graph = net.graph()
    assert make(graph, band_layers(graph, 1, 1)) is None


def test_padding_at_the_sides_is_the_kernels() -> None:
    net = Sketch(image())
    net.emit("average_pool2d", ["x0"], AveragePool2DAttributes((1, 3), (1, 1), (0, 0, 1, 1)))
    line, _ = only_stage(net)
    assert (line.above, line.below) == (0, 0)


def two_readers(pool: str, padding: Padding) -> Graph:
    net = Sketch(image())
    kept = net.conv("x0")
    taken = net.conv(kept)
    found = {"max": net.max_pool, "average": net.average_pool}[pool](kept, 3, padding)
    net.mean(found)
    return net.graph(taken)


def test_a_maximum_and_a_convolution_of_one_padded_tensor() -> None:
    """The padding would be -128 and the zero point."""
    graph = two_readers("max", (1, 1, 0, 0))
    assert possible(graph) == 3
    assert make(graph, band_layers(graph, 3, 1)) is None
    assert make(graph, band_layers(graph, 2, 1)) is not None


@pytest.mark.parametrize("pool", ["max", "average"])
def test_a_pool_that_does_not_read_the_padding_of_a_convolution(pool: str) -> None:
    stream = stream_of(two_readers(pool, (0, 0, 0, 0)), 3)
    assert stream.lines[1] == Line("conv2d0", 8, 8, 1, 1, fill=3)
    assert stream.stages[2].readers == (Reader(1, 1, 3, 1),)


def test_readers_of_unlike_padding() -> None:
    """The line has the most; others begin further down."""
    net = Sketch(image())
    small = net.conv("x0", padding=(1, 1, 1, 1))
    large = net.conv("x0", (5, 3), (2, 2, 1, 1))
    net.add(small, large)
    stream = stream_of(net.graph(), 3)
    assert (stream.lines[0].above, stream.lines[0].below) == (2, 2)
    assert [s.readers[0] for s in stream.stages[:2]] == [Reader(0, 1, 3, 1), Reader(0, 0, 5, 1)]
    assert stream.stages[2].readers == (Reader(1, 0, 1, 1), Reader(2, 0, 1, 1))


def test_what_is_read_later_is_whole() -> None:
    net = Sketch(image())
    a = net.conv("x0")
    b = net.conv(a)
    net.add(net.conv(b), a)
    graph = net.graph()
    assert set(stream_of(graph, 4).whole) == {"add3"}
    assert set(stream_of(graph, 2).whole) == {"conv2d0", "conv2d1"}
    assert set(stream_of(net.graph(b), 4).whole) == {"conv2d1", "add3"}


def test_an_input_that_is_read_later_stays_in_the_arena() -> None:
    """Rows that are fed do not."""
    net = Sketch(image())
    net.add(net.conv("x0"), "x0")
    graph = net.graph()
    layers = band_layers(graph, 1, 1)
    assert make(graph, layers, is_fed=True) is None
    stream = make(graph, layers)
    assert stream is not None
    assert not stream.lines[0].whole


def test_both_inputs_of_a_node_are_one_tensor() -> None:
    net = Sketch(image())
    net.add("x0", "x0")
    stream = stream_of(net.graph(), 1)
    assert stream.stages[0].readers == (Reader(0, 0, 1, 1),)


# --- elementwise layers that join the stage before ------------------------------------------------


def members(graph: Graph, count: int, **options: bool) -> tuple[tuple[int, ...], ...]:
    return stream_of(graph, count, **options).members


def test_elementwise_layers_join_what_they_may_write_over() -> None:
    net = Sketch(image())
    net.emit("relu6", [net.emit("relu", [net.conv("x0")])])
    assert members(net.graph(), 3) == ((0,), (1,), (2,))
    stream = stream_of(net.graph(), 3, joined=True)
    assert stream.members == ((0, 1, 2),)
    assert [line.tensor for line in stream.lines] == ["x0", "relu62"]
    assert stream.inputs == ({(0, "x0"): 0},)


def residual() -> Sketch:
    net = Sketch(image())
    a = net.conv("x0")
    net.add(net.conv(a), a)
    return net


def test_a_sum_joins_one_of_its_inputs() -> None:
    stream = stream_of(residual().graph(), 3, joined=True)
    assert stream.members == ((0,), (1, 2))
    assert stream.stages[1].readers == (Reader(1, 0, 3, 1), Reader(1, 1, 1, 1))
    assert stream.inputs[1] == {(1, "conv2d0"): 0, (2, "conv2d0"): 1}


def test_what_others_read_is_not_written_over() -> None:
    net = Sketch(image())
    kept = net.conv("x0")
    net.add(net.emit("relu", [kept]), kept)
    graph = net.graph()
    # The sum takes the place of the relu, whose own input stays.
    assert members(graph, 3, joined=True) == ((0,), (1, 2))
    net = Sketch(image())
    kept = net.conv("x0")
    net.emit("relu", [kept])
    assert members(net.graph(kept), 2, joined=True) == ((0,), (1,))


def test_a_sum_with_itself_is_not_joined() -> None:
    net = Sketch(image())
    kept = net.conv("x0")
    net.add(kept, kept)
    assert members(net.graph(), 2, joined=True) == ((0,), (1,))


def test_a_window_never_joins() -> None:
    net = Sketch(image())
    net.conv(net.conv("x0"))
    graph = net.graph()
    layers = [told(layer, Distance(0)) for layer in band_layers(graph, 2, 1)]
    stream = make(graph, layers)
    assert stream is not None
    assert stream.members == ((0,), (1,))


def told(layer: BandLayer, distance: Distance) -> BandLayer:
    """A call that may write over its first input at some distance."""
    return replace(layer, layer=replace(layer.layer, overlaps={0: distance}))


@pytest.mark.parametrize(
    ("distance", "joins"),
    [
        (Distance(0), True),
        (Distance(0, is_exact=True), True),
        (Distance(-8), True),
        (Distance(-8, is_exact=True), False),
        (Distance(8), False),
        (Distance(8, is_exact=True), False),
    ],
)
def test_distances_that_allow_the_same_place(distance: Distance, joins: bool) -> None:
    net = Sketch(image())
    net.emit("relu", [net.conv("x0")])
    graph = net.graph()
    first, second = band_layers(graph, 2, 1)
    stream = make(graph, [first, told(second, distance)])
    assert stream is not None
    assert stream.members == (((0, 1),) if joins else ((0,), (1,)))


def test_bands_of_other_rows_do_not_join() -> None:
    net = Sketch(image())
    net.emit("relu", [net.conv("x0")])
    graph = net.graph()
    first, _ = band_layers(graph, 2, 1)
    _, second = band_layers(graph, 2, 2, joined=True)
    stream = make(graph, [first, second])
    assert stream is not None
    assert stream.members == ((0,), (1,))


def test_a_stage_has_four_inputs_at_most() -> None:
    """Sums that join one after the other each bring a tensor; the fifth is a stage of its own."""
    net = Sketch(image())
    others = [net.conv("x0", (1, 1), (0, 0, 0, 0)) for _ in range(5)]
    total = net.conv("x0", (1, 1), (0, 0, 0, 0))
    for other in others:
        total = net.add(total, other)
    stream = stream_of(net.graph(), 11, joined=True)
    assert [len(m) for m in stream.members] == [1, 1, 1, 1, 1, 4, 2]
    assert [len(s.readers) for s in stream.stages] == [1] * 5 + [4, 3]


# --- sizes --------------------------------------------------------------------------------------


def sizes() -> Stream:
    return stream_of(residual().graph(), 3, 2)


def test_sizes() -> None:
    stream = sizes()
    assert stream.count == 3
    # Two words of 16 bits for each of four lines, one for each of three stages.
    assert stream.state_bytes == 2 * (2 * 4 + 3)
    assert stream.outcome.capacity[0] == 4
    assert stream.line_bytes(0) == 4 * 8
    assert stream.line_bytes(3) == 8 * 8


def test_scratch_is_that_of_the_layer_with_the_most() -> None:
    graph = residual().graph()
    first, second, third = band_layers(graph, 3, 1)
    larger = replace(second, layer=replace(second.layer, scratch_bytes=100))
    stream = make(graph, [first, larger, third])
    assert stream is not None
    assert stream.scratch_bytes == 100
