"""Repaired weights and biases bring int8 nearer to float, at the same scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import Array, Graph
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.quantization.repair import repair
from edgecnn.simulator import run_float, run_int
from edgecnn.support import require_supported
from tests.quantization.networks import network


def drawn() -> np.random.Generator:
    """The same numbers for each test, whatever ran before."""
    return np.random.default_rng(0)


SHAPE = (1, 8, 8, 3)


def deep(*, biases: bool = True, groups: int = 2) -> Graph:
    """Every kind of layer that is repaired: groups, a depth multiplier, flattened rows.

    The first weight of each filter is large, so that the steps of the others are.
    """
    rng = np.random.default_rng(0)
    constants = {
        "w0": rng.normal(0, 0.4, (6, 3, 3, 3)),
        "w1": rng.normal(0, 0.4, (4, 3, 3, 6 // groups)),
        "w2": rng.normal(0, 0.4, (1, 3, 3, 8)),
        "w3": rng.normal(0, 0.2, (5, 8 * 9)),
    }
    for name in ("w0", "w1", "w3"):
        constants[name].reshape(len(constants[name]), -1)[:, 0] *= 20
    constants["w2"][:, 0, 0] *= 20
    bias = {f"b{i}": rng.normal(0, 0.2, n) for i, n in enumerate((6, 4, 8, 5))} if biases else {}
    names = [f"b{i}" if biases else "" for i in range(4)]
    same, relu = (1, 1, 1, 1), "relu"
    strided = Conv2DAttributes((2, 2), same, groups=groups, activation=relu)
    return network(
        [
            ("conv2d", ("x", "w0", names[0]), Conv2DAttributes(padding=same, activation=relu)),
            ("conv2d", ("t0", "w1", names[1]), strided),
            (
                "depthwise_conv2d",
                ("t1", "w2", names[2]),
                DepthwiseConv2DAttributes(padding=(0, 1, 1, 0), activation=relu),
            ),
            ("reshape", ("t2",), ReshapeAttributes((1, 72))),
            ("fully_connected", ("t3", "w3", names[3]), FullyConnectedAttributes()),
        ],
        constants | bias,
        SHAPE,
    )


def samples(count: int, seed: int) -> dict[str, Array]:
    """Images whose neighbouring pixels are alike."""
    noise = np.random.default_rng(seed).normal(size=(count, 1, 10, 10, 3))
    smooth = sum(noise[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3))
    return {"x": np.asarray(smooth / 3, np.float32)}


def noise(float_graph: Graph, int8: Graph, feeds: dict[str, Array], name: str) -> Array:
    """int8 less float, as reals: (samples, *shape)."""
    tensor, x = int8.tensors[name], int8.tensors["x"]
    codes = run_int(int8, {"x": quantize(feeds["x"], x.scale, x.zero_point)})[name]
    got = dequantize(codes, tensor.scale, tensor.zero_point)
    return np.asarray(got - run_float(float_graph, feeds)[name])


@pytest.mark.parametrize("biases", [True, False])
def test_unseen_samples_come_out_nearer(biases: bool) -> None:
    graph = deep(biases=biases)
    int8 = quantize_graph(graph, samples(200, 0), "minmax")
    repaired = repair(graph, int8, samples(200, 0))
    require_supported(repaired)
    apart = samples(200, 1)
    before, after = (np.square(noise(graph, g, apart, "t4")).mean() for g in (int8, repaired))
    assert after < 0.95 * before


def test_each_half_of_the_repair_helps() -> None:
    graph = deep()
    learned, apart = samples(200, 0), samples(200, 1)
    int8 = quantize_graph(graph, learned, "minmax")

    def error(rounding: bool, bias: bool) -> float:
        repaired = repair(graph, int8, learned, rounding=rounding, bias=bias)
        return float(np.square(noise(graph, repaired, apart, "t4")).mean())

    assert error(True, True) < min(error(True, False), error(False, True))
    assert error(False, True) < error(False, False)


def test_scales_and_ranges_stay() -> None:
    graph = deep()
    int8 = quantize_graph(graph, samples(30, 0), "mse")
    repaired = repair(graph, int8, samples(30, 0))
    for name, tensor in int8.tensors.items():
        assert repaired.tensors[name].quant == tensor.quant
        assert repaired.tensors[name].dtype == tensor.dtype
    moved = [
        np.abs(repaired.tensors[n].data.astype(int) - int8.tensors[n].data).max()  # type: ignore[union-attr]
        for n in ("w0", "w1", "w2", "w3")
    ]
    assert moved == [1, 1, 1, 1]


def test_a_bias_that_is_wrong_is_put_right() -> None:
    """Whatever the int8 biases were: the float ones and the missing means make new ones."""
    graph = deep()
    learned = samples(200, 0)
    int8 = quantize_graph(graph, learned, "minmax")
    wrong = int8
    for name in ("b0", "b1", "b2", "b3"):
        tensor = int8.tensors[name]
        assert tensor.data is not None
        data = tensor.data + np.int32(50)
        wrong = wrong.replace(tensors={**wrong.tensors, name: replace(tensor, data=data)})
    a, b = (repair(graph, g, learned) for g in (int8, wrong))
    for name in ("b0", "b1", "b2", "b3", "w3"):
        assert np.array_equal(a.tensors[name].data, b.tensors[name].data)  # type: ignore[arg-type]


def test_weights_that_two_layers_share_are_repaired_for_each() -> None:
    same = Conv2DAttributes(padding=(1, 1, 1, 1))
    graph = network(
        [("conv2d", ("x", "w", "b"), same), ("conv2d", ("t0", "w", "b"), same)],
        {"w": drawn().normal(0, 0.3, (3, 3, 3, 3)), "b": drawn().normal(0, 0.3, 3)},
        SHAPE,
    )
    learned, apart = samples(40, 0), samples(40, 1)
    int8 = quantize_graph(graph, learned, "minmax")
    repaired = repair(graph, int8, learned)
    first, second = repaired.nodes
    assert first.inputs[1] != second.inputs[1]
    before, after = (np.square(noise(graph, g, apart, "t1")).mean() for g in (int8, repaired))
    assert after < before


def test_the_same_call_gives_the_same_weights() -> None:
    graph = deep()
    int8 = quantize_graph(graph, samples(30, 0), "mse")
    a, b = (repair(graph, int8, samples(30, 0)) for _ in range(2))
    for name, tensor in a.tensors.items():
        if tensor.data is not None:
            assert np.array_equal(tensor.data, b.tensors[name].data)  # type: ignore[arg-type]
