"""Equalization changes no function, and makes channels of any scale fit for int8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgecnn.ir import Array, Attributes, Graph
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.leaky_relu import LeakyReluAttributes
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.quantization.equalize import channel_peaks, islands, rescaled, spread
from edgecnn.simulator import run_float
from tests.quantization.networks import Layer, network, rescaled_chain

RNG = np.random.default_rng(0)
RELU = Conv2DAttributes(padding=(1, 1, 1, 1), activation="relu")
PLAIN = Conv2DAttributes(padding=(1, 1, 1, 1))
SHAPE = (1, 6, 6, 3)


def weights(*shape: int) -> Array:
    return RNG.normal(0, 0.4, shape)


def convolutions(between: Sequence[Layer], read: str, channels: int = 4) -> Graph:
    """A convolution ``"t0"``, what is between, and one that reads ``read``."""
    constants = {
        "w0": weights(4, 3, 3, 3), "b0": weights(4), "w1": weights(2, 3, 3, channels),
        "b1": weights(2), "slope": weights(4), "c": weights(4), "scalar": weights(1),
        "v": weights(1, 3, 3, 8), "d": weights(8),
    }  # fmt: skip
    layers = [("conv2d", ("x", "w0", "b0"), RELU), *between]
    layers.append(("conv2d", (read, "w1", "b1"), PLAIN))
    used = {name for _, inputs, _ in layers for name in inputs}
    return network(layers, {n: c for n, c in constants.items() if n in used}, SHAPE)


FREE: dict[str, Graph] = {
    "chain": convolutions([], "t0"),
    "leaky": convolutions([("leaky_relu", ("t0",), LeakyReluAttributes(0.1))], "t1"),
    "prelu": convolutions([("prelu", ("t0", "slope"), Attributes())], "t1"),
    "pool": convolutions(
        [("average_pool2d", ("t0",), AveragePool2DAttributes((2, 2), (2, 2)))], "t1"
    ),
    "pad of 0": convolutions(
        [("pad", ("t0",), PadAttributes(((0, 0), (1, 1), (1, 1), (0, 0))))], "t1"
    ),
    "sum with a constant": convolutions([("add", ("t0", "c"), AddAttributes())], "t1"),
    "doubled": convolutions([("add", ("t0", "t0"), AddAttributes("relu"))], "t1"),
    "joined": convolutions([("concat", ("t0", "t0"), ConcatAttributes(3))], "t1", 8),
    "depthwise": convolutions(
        [("depthwise_conv2d", ("t0", "v", "d"), DepthwiseConv2DAttributes(activation="relu"))],
        "t1",
        8,
    ),
    "flattened": network(
        [
            ("conv2d", ("x", "w", "b"), RELU),
            ("reshape", ("t0",), ReshapeAttributes((1, 144))),
            ("fully_connected", ("t1", "f", ""), FullyConnectedAttributes()),
        ],
        {"w": weights(4, 3, 3, 3), "b": weights(4), "f": weights(3, 144)},
        SHAPE,
    ),
}

HELD: dict[str, Graph] = {
    "relu6": network(
        [
            ("conv2d", ("x", "w", ""), Conv2DAttributes(activation="relu6")),
            ("conv2d", ("t0", "v", ""), PLAIN),
        ],
        {"w": weights(4, 1, 1, 3), "v": weights(2, 1, 1, 4)},
        SHAPE,
    ),
    "sigmoid": convolutions([("sigmoid", ("t0",), Attributes())], "t1"),
    "product": convolutions([("mul", ("t0", "t0"), MulAttributes())], "t1"),
    "pad of 1": convolutions(
        [("pad", ("t0",), PadAttributes(((0, 0), (1, 1), (1, 1), (0, 0)), 1.0))], "t1"
    ),
    "sum with one value for all": convolutions([("add", ("t0", "scalar"), AddAttributes())], "t1"),
    "output": network(
        [("conv2d", ("x", "w", ""), PLAIN), ("conv2d", ("t0", "v", ""), PLAIN)],
        {"w": weights(4, 1, 1, 3), "v": weights(2, 1, 1, 4)},
        SHAPE,
        outputs=("t0", "t1"),
    ),
    "sum with the input": network(
        [
            ("conv2d", ("x", "w", ""), RELU),
            ("add", ("t0", "x"), AddAttributes()),
            ("conv2d", ("t1", "v", ""), PLAIN),
        ],
        {"w": weights(3, 3, 3, 3), "v": weights(2, 1, 1, 3)},
        SHAPE,
    ),
}


def samples(graph: Graph, count: int = 8) -> dict[str, Array]:
    shape = graph.tensors["x"].shape
    return {"x": np.random.default_rng(1).normal(size=(count, *shape)).astype(np.float32)}


def free_numbers(graph: Graph) -> list[int]:
    found = islands(graph)
    used = {int(i) for name in graph.activations() for i in found.labels[name]}
    return sorted(used - found.pinned)


@pytest.mark.parametrize("name", FREE)
def test_any_factors_of_free_channels_change_nothing(name: str) -> None:
    graph = FREE[name]
    numbers = free_numbers(graph)
    assert numbers
    factors = dict(
        zip(numbers, np.exp(np.random.default_rng(1).uniform(-5, 5, len(numbers))), strict=True)
    )
    other = rescaled(graph, islands(graph), factors)
    x = samples(graph)
    before, after = (run_float(g, x)[g.outputs[0]] for g in (graph, other))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())
    assert not np.allclose(run_float(other, x)["t0"], run_float(graph, x)["t0"])


@pytest.mark.parametrize("name", HELD)
def test_channels_that_somebody_minds_stay(name: str) -> None:
    assert not free_numbers(HELD[name])


def test_a_constant_that_two_nodes_read_is_not_scaled_for_one() -> None:
    graph = network(
        [
            ("conv2d", ("x", "w", ""), RELU),
            ("conv2d", ("x", "w", ""), PLAIN),
            ("conv2d", ("t0", "v", ""), PLAIN),
            ("concat", ("t1", "t2"), ConcatAttributes(3)),
        ],
        {"w": weights(4, 3, 3, 3), "v": weights(4, 3, 3, 4)},
        SHAPE,
    )
    factors = dict.fromkeys(free_numbers(graph), 3.0)
    assert factors
    other = rescaled(graph, islands(graph), factors)
    x = samples(graph)
    np.testing.assert_allclose(
        run_float(other, x)["t3"], run_float(graph, x)["t3"], rtol=1e-4, atol=1e-4
    )


def test_equalized_channels_leave_little_to_gain() -> None:
    graph = rescaled_chain(FREE["chain"], 1000.0)
    x = samples(graph)
    found = islands(graph)
    before = spread(graph, found, channel_peaks(graph, x))
    groups = [found.labels[name] for name in graph.activations()]
    assert before.gain(groups) > 100
    other = rescaled(graph, found, before.factors(0.5))
    after = spread(other, islands(other), channel_peaks(other, x))
    assert after.gain(groups) < 4
