"""Random whole networks on all runners: what single operators cannot show.

Memory that is shared over time, views of inputs and outputs, tensors read late or often,
outputs that other layers read too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn.frontends.tflite import load
from edgecnn.ir import Array, Attributes, Graph, Node, QuantParams, Tensor
from edgecnn.operators import operator
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import ACTIVATIONS, OPTIONAL_RUNNERS, Rng, draw, run


class Network:
    """A network that grows layer by layer from tensors that it has."""

    def __init__(self, seed: int) -> None:
        self.rng: Rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs = tuple(self._input(i) for i in range(draw(self.rng, (1, 1, 2))))

    def _quant(self) -> QuantParams:
        scale, zero_point = self.rng.uniform(0.02, 0.1), self.rng.integers(-128, 128)
        return QuantParams.per_tensor(float(scale), int(zero_point))

    def _input(self, number: int) -> str:
        name, shape = f"in{number}", (1, *(int(n) for n in self.rng.integers(3, 9, 3)))
        self.tensors[name] = Tensor(name, shape, "int8", None, self._quant())
        return name

    def activations(self) -> list[str]:
        return [name for name, tensor in self.tensors.items() if tensor.data is None]

    def pick(self, rank: int | None = None) -> Tensor | None:
        """A tensor, the last ones more often; of some rank if asked."""
        names = [n for n in self.activations() if rank in (None, len(self.tensors[n].shape))]
        if not names:
            return None
        return self.tensors[names[-1 - min(int(self.rng.exponential(1.5)), len(names) - 1)]]

    def emit(
        self, op: str, inputs: list[str], attributes: Attributes, quant: QuantParams | None = None
    ) -> None:
        """Append a node; its output keeps the quantization of its input unless one is given."""
        shapes = [self.tensors[n].shape if n else () for n in inputs]
        (shape,) = operator(op).infer_shapes(attributes, shapes)
        name = f"{op}{len(self.nodes)}"
        quant = self.tensors[inputs[0]].quant if quant is None else quant
        self.tensors[name] = Tensor(name, shape, "int8", None, quant)
        self.nodes.append(Node(op, tuple(inputs), (name,), attributes))

    def constant(self, data: Array, scale: float) -> str:
        name = f"constant{len(self.tensors)}"
        quant = QuantParams.per_tensor(scale, 0)
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, data, quant)
        return name

    def weights(self, x: Tensor, shape: tuple[int, ...], outputs: int) -> list[str]:
        """Inputs of a layer with weights, half of the time with a bias."""
        data = self.rng.integers(-127, 128, shape, dtype=np.int8)
        inputs = [x.name, self.constant(data, 0.01), ""]
        if self.rng.random() < 0.5:
            bias = self.rng.integers(-3000, 3000, outputs).astype(np.int32)
            inputs[2] = self.constant(bias, x.scale * 0.01)
        return inputs

    # --- layers -------------------------------------------------------------------------------

    def conv2d(self) -> None:
        if (x := self.pick(4)) is None:
            return
        units, padding = int(self.rng.integers(1, 6)), draw(self.rng, (0, 1))
        size = [min(3, n + 2 * padding) for n in x.shape[1:3]]
        inputs = self.weights(x, (units, *size, x.shape[3]), units)
        a = Conv2DAttributes((1, 1), (padding,) * 4, activation=draw(self.rng, ACTIVATIONS))
        self.emit("conv2d", inputs, a, self._quant())

    def depthwise_conv2d(self) -> None:
        if (x := self.pick(4)) is None:
            return
        inputs = self.weights(x, (1, 3, 3, x.shape[3]), x.shape[3])
        a = DepthwiseConv2DAttributes(padding=(1, 1, 1, 1))
        self.emit("depthwise_conv2d", inputs, a, self._quant())

    def pool(self) -> None:
        if (x := self.pick(4)) is None:
            return
        size = (min(2, x.shape[1]), min(2, x.shape[2]))
        a = draw(self.rng, (MaxPool2DAttributes, AveragePool2DAttributes))(size, size)
        op = "max_pool2d" if isinstance(a, MaxPool2DAttributes) else "average_pool2d"
        self.emit(op, [x.name], a)

    def add(self) -> None:
        x = self.pick()
        assert x is not None
        alike = [n for n in self.activations() if self.tensors[n].shape == x.shape]
        a = AddAttributes(draw(self.rng, ACTIVATIONS))
        self.emit("add", [x.name, draw(self.rng, alike)], a, self._quant())

    def rectify(self) -> None:
        x = self.pick()
        assert x is not None
        if self.rng.random() < 0.5:
            self.emit("relu", [x.name], Attributes(), self._quant())
        else:
            self.emit("relu6", [x.name], Attributes())

    def pad(self) -> None:
        x = self.pick()
        if x is None or x.size > 2000:
            return
        sides = [
            (0, 0),
            *((int(b), int(a)) for b, a in self.rng.integers(0, 2, (len(x.shape) - 1, 2))),
        ]
        self.emit("pad", [x.name], PadAttributes(tuple(sides)))

    def reshape(self) -> None:
        x = self.pick()
        assert x is not None
        shapes = ((1, x.size), (1, 1, x.size), (1, *reversed(x.shape[1:])))
        self.emit("reshape", [x.name], ReshapeAttributes(draw(self.rng, shapes)))

    def transpose(self) -> None:
        x = self.pick()
        assert x is not None
        order = (0, *(1 + int(i) for i in self.rng.permutation(len(x.shape) - 1)))
        self.emit("transpose", [x.name], TransposeAttributes(order))

    def mean(self) -> None:
        if (x := self.pick(4)) is None:
            return
        self.emit(
            "mean", [x.name], MeanAttributes((1, 2), bool(self.rng.random() < 0.5)), self._quant()
        )

    def fully_connected(self) -> None:
        x = self.pick(2)
        if x is None or x.size > 3000:
            return
        units = int(self.rng.integers(1, 20))
        inputs = self.weights(x, (units, x.shape[1]), units)
        self.emit("fully_connected", inputs, FullyConnectedAttributes(), self._quant())

    def softmax(self) -> None:
        x = self.pick()
        if x is None or x.shape[-1] > 500:
            return
        self.emit("softmax", [x.name], SoftmaxAttributes(), QuantParams.per_tensor(1 / 256, -128))

    def graph(self) -> Graph:
        """The network; what nothing reads is an output, and some of what something reads."""
        read = {name for node in self.nodes for name in node.inputs}
        computed = [node.output for node in self.nodes]
        outputs = [n for n in computed if n not in read or self.rng.random() < 0.15]
        used = tuple(n for n in self.inputs if n in read)
        tensors = {n: t for n, t in self.tensors.items() if n not in self.inputs or n in used}
        return Graph("net", tuple(self.nodes), tensors, used, tuple(outputs))


LAYERS: tuple[Callable[[Network], None], ...] = (
    Network.conv2d,
    Network.conv2d,
    Network.depthwise_conv2d,
    Network.pool,
    Network.add,
    Network.add,
    Network.rectify,
    Network.pad,
    Network.reshape,
    Network.transpose,
    Network.mean,
    Network.fully_connected,
    Network.softmax,
)


def random_network(seed: int) -> Graph:
    network = Network(seed)
    for _ in range(int(network.rng.integers(1, 25))):
        draw(network.rng, LAYERS)(network)
    if not network.nodes:
        network.rectify()
    return network.graph()


def check_network(seed: int, directory: Path) -> None:
    graph = random_network(seed)
    feeds = random_feeds(graph, 4, seed)
    report = run(graph, directory, feeds)
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
    assert {r.name for r in report.runners if not r.available} <= OPTIONAL_RUNNERS
    again = run_int(load(to_tflite(graph), "net"), feeds)
    expected = run_int(graph, feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(again[name], expected[name])


@pytest.mark.parametrize("seed", range(25))
def test_random_network(seed: int, tmp_path: Path) -> None:
    check_network(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_more_random_networks(seed: int, tmp_path: Path) -> None:
    check_network(seed, tmp_path)
