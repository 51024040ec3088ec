"""Networks whose first layers run in bands of rows, with bands of sizes that tests choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import operator
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.parity import Artifact, Session, random_feeds
from edgecnn.simulator import run_int
from firmware_export.c_writer import CNetwork, to_c
from firmware_export.chooser.trials import group_of_one
from firmware_export.device.cores import CORES, Core
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory.plan import ALIGNMENT
from firmware_export.streaming.bands import band
from firmware_export.streaming.stream import BandLayer, Stream, make, windows
from tests.ops.case_table import ACTIVATIONS, PROVENANCE, Rng, draw
from tests.test_random_networks import Network

M4 = CORES["cortex-m4"]


def divisor(height: int, most: int) -> int:
    """The largest part of some rows that is no more than ``most``."""
    return max(rows for rows in range(1, most + 1) if height % rows == 0)


def _call(graph: Graph, node: Node, core: Core | None, joined: bool) -> CLayer:
    """The only layer of a graph: by the last of a core's fast kernels, if there are any."""
    images = [graph.tensors[name] for name in (*graph.inputs, *graph.outputs)]
    are_aligned = all(t.nbytes // t.shape[1] % ALIGNMENT == 0 for t in images)
    writes_over = joined and operator(node.op).is_elementwise
    fast = core is not None and (are_aligned or not core.needs_alignment) and not writes_over
    layers = group_of_one(graph, core or M4, with_fast=fast).layers
    layer = layers[list(layers)[-1]][0]
    overlaps = {place: Distance(0) for place in range(len(node.inputs))}
    return replace(layer, overlaps=overlaps if writes_over else {})


def band_layers(
    graph: Graph, count: int, rows: int, *, core: Core | None = None, joined: bool = False
) -> list[BandLayer]:
    """Calls for bands of up to ``rows`` rows of the first nodes, by fast kernels for a ``core``.

    With ``joined`` elementwise layers may write over their inputs, else none may.
    """
    found = []
    for window, node in zip(windows(graph)[:count], graph.nodes, strict=False):
        size = divisor(graph.tensors[node.output].shape[1], rows)
        alone = band(graph, node, window, size)
        found.append(BandLayer(size, _call(alone, node, core, joined)))
    return found


def stream_of(
    graph: Graph,
    count: int,
    rows: int = 1,
    *,
    core: Core | None = None,
    joined: bool = False,
    fed: bool = False,
) -> Stream:
    """The stream of some first nodes, which must be possible."""
    stream = make(graph, band_layers(graph, count, rows, core=core, joined=joined), is_fed=fed)
    assert stream is not None
    return stream


def write(graph: Graph, stream: Stream, directory: Path) -> tuple[Artifact, CNetwork]:
    """The C of a network with a stream, in a folder."""
    network = to_c(graph, graph.name, PROVENANCE, stream=stream)
    for file, text in network.files.items():
        (directory / file).write_text(text)
    artifact = Artifact(graph, b"", graph.name, directory, is_fed=stream.is_fed)
    return artifact, network


def expected(graph: Graph, samples: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs, with the extremes first, and all tensors by the naive reference."""
    feeds = random_feeds(graph, samples, seed)
    return feeds, run_int(graph, feeds)


def check_session(graph: Graph, session: Session, samples: int = 2, seed: int = 0) -> None:
    """Every activation is shown, and all bytes are the reference's."""
    feeds, values = expected(graph, samples, seed)
    check_tensors(graph, session.run(feeds), values)


def check_tensors(graph: Graph, got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    """All activations are there, and equal."""
    assert set(got) == set(graph.activations())
    for name in graph.activations():
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)


def residual_network(seed: int = 0) -> Graph:
    """Convolutions, a residual, a pool and a tail; all rows are of whole words."""
    net = ImageNetwork(seed)
    net.tensors = {"in0": replace(net.tensors["in0"], shape=(1, 12, 8, 4))}

    def conv(x: str, units: int, stride: int = 1) -> str:
        tensor = net.tensors[x]
        inputs = net.weights(tensor, (units, 3, 3, tensor.shape[3]), units)
        attributes = Conv2DAttributes((stride, stride), (1, 1, 1, 1), activation="relu")
        net.emit("conv2d", inputs, attributes, net._quant())
        return net.nodes[-1].output

    first = conv("in0", 8)
    kernel = net.weights(net.tensors[first], (1, 3, 3, 8), 8)
    same = DepthwiseConv2DAttributes(padding=(1, 1, 1, 1))
    net.emit("depthwise_conv2d", kernel, same, net._quant())
    net.emit("add", [net.nodes[-1].output, first], AddAttributes("relu"), net._quant())
    net.emit("max_pool2d", [net.nodes[-1].output], MaxPool2DAttributes((2, 2), (2, 2)))
    conv(net.nodes[-1].output, 8, 2)
    net.mean()
    net.softmax()
    return net.graph().replace(outputs=(net.nodes[-1].output,))


# --- random networks --------------------------------------------------------------------------


class ImageNetwork(Network):
    """Layers with windows of all kinds over images, which branch and join."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        (name,) = self.inputs = self.inputs[:1]
        shape = (1, *(int(n) for n in self.rng.integers((4, 2, 1), (17, 7, 5))))
        self.tensors = {name: replace(self.tensors[name], shape=shape)}

    def _window(self, height: int, width: int, *, most: int) -> dict[str, tuple[int, ...]]:
        rng: Rng = self.rng
        size = (int(rng.integers(1, most + 1)), int(rng.integers(1, most + 1)))
        top, bottom = (int(n) for n in rng.integers(0, size[0], 2))
        left, right = (int(n) for n in rng.integers(0, size[1], 2))
        stride = (draw(rng, (1, 1, 1, 2, 3)), draw(rng, (1, 1, 2)))
        size = min(size[0], height + top + bottom), min(size[1], width + left + right)
        return {"size": size, "stride": stride, "padding": (top, bottom, left, right)}

    def _is_small(self) -> bool:
        return all(np.prod(t.shape) < 4000 for t in self.tensors.values())

    def conv2d(self) -> None:
        x = self.pick(4)
        assert x is not None
        window = self._window(*x.shape[1:3], most=4)
        size = window.pop("size")
        padding = window["padding"]
        span = x.shape[1] + padding[0] + padding[1]
        dilation = draw(self.rng, [d for d in (1, 1, 2) if (size[0] - 1) * d < span])
        attributes = Conv2DAttributes(
            **window,  # type: ignore[arg-type]
            dilation=(dilation, 1),
            activation=draw(self.rng, ACTIVATIONS),
        )
        units = int(self.rng.integers(1, 6))
        inputs = self.weights(x, (units, *size, x.shape[3]), units)
        self.emit("conv2d", inputs, attributes, self._quant())

    def depthwise_conv2d(self) -> None:
        x = self.pick(4)
        assert x is not None
        window = self._window(*x.shape[1:3], most=3)
        size = window.pop("size")
        inputs = self.weights(x, (1, *size, x.shape[3]), x.shape[3])
        attributes = DepthwiseConv2DAttributes(**window)  # type: ignore[arg-type]
        self.emit("depthwise_conv2d", inputs, attributes, self._quant())

    def pool(self) -> None:
        x = self.pick(4)
        assert x is not None
        window = self._window(*x.shape[1:3], most=3)
        average = self.rng.random() < 0.4
        if average and self.rng.random() < 0.8:
            window["padding"] = (0, 0, *window["padding"][2:])
            size = window["size"]
            window["size"] = (min(size[0], x.shape[1]), size[1])
        make_one = AveragePool2DAttributes if average else MaxPool2DAttributes
        attributes = make_one(**window)  # type: ignore[arg-type]
        op = "average_pool2d" if average else "max_pool2d"
        probe = Node(op, (x.name,), (x.name,), attributes)
        graph = Graph("", (), self.tensors, (), ())
        if operator(op).unsupported(probe, graph) is None:
            self.emit(op, [x.name], attributes)

    def join(self) -> None:
        x = self.pick(4)
        assert x is not None
        alike = [n for n in self.activations() if self.tensors[n].shape == x.shape]
        attributes = AddAttributes(draw(self.rng, ACTIVATIONS))
        self.emit("add", [x.name, draw(self.rng, alike)], attributes, self._quant())


#: What random networks are made of: images first, then what ends the stream.
LAYERS: tuple[Callable[[ImageNetwork], None], ...] = (
    ImageNetwork.conv2d,
    ImageNetwork.conv2d,
    ImageNetwork.depthwise_conv2d,
    ImageNetwork.pool,
    ImageNetwork.join,
    ImageNetwork.join,
    ImageNetwork.rectify,
)
TAIL: tuple[Callable[[ImageNetwork], None], ...] = (
    ImageNetwork.mean,
    ImageNetwork.reshape,
    ImageNetwork.add,
    ImageNetwork.softmax,
)


def image_network(seed: int) -> Graph:
    """A network of a few layers of windows, and a few other ones behind them."""
    network = ImageNetwork(seed)
    for _ in range(int(network.rng.integers(1, 10))):
        draw(network.rng, LAYERS)(network)
    for _ in range(int(network.rng.integers(0, 4))):
        draw(network.rng, TAIL)(network)
    if not network.nodes:
        network.rectify()
    return network.graph()


def random_stream(seed: int, *, core: Core | None = None) -> tuple[Graph, Stream] | None:
    """A random network with some of its first layers in bands; None where there is none."""
    graph = image_network(seed)
    rng = np.random.default_rng(seed)
    count, rows = len(windows(graph)), int(rng.integers(1, 5))
    joined, fed = rng.random() < 0.5, rng.random() < 0.4
    if count == 0:
        return None
    if rng.random() < 0.6:
        count = int(rng.integers(1, count + 1))
    stream = make(graph, band_layers(graph, count, rows, core=core, joined=joined), is_fed=fed)
    return None if stream is None else (graph, stream)
