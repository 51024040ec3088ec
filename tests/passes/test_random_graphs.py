"""Random graphs of the operators that transposes move past: the pipeline changes no value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgecnn.frontends.tflite import load
from edgecnn.ir import Graph, Shape
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.parity import random_feeds
from edgecnn.passes import pipeline
from edgecnn.simulator import run_int
from edgecnn.support import problems
from firmware_export.tflite_writer import to_tflite
from tests.passes.graphs import Sketch, assert_same
from tests.passes.int8_graphs import arbitrary_int8, run_as_given
from tests.torch_helpers import counts

Rng = np.random.Generator
GRAPHS_OF_A_TEST = 40
LARGEST = 400


def transpose(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    order = (0, *(1 + rng.permutation(len(shape) - 1)).tolist())
    return s.emit("transpose", [x], TransposeAttributes(order))


def reshape(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    dims, rest, prime = [1] * int(rng.integers(1, 5)), int(np.prod(shape)), 2
    while rest > 1:
        while rest % prime == 0:
            dims[rng.integers(len(dims))] *= prime
            rest //= prime
        prime += 1
    return s.emit("reshape", [x], ReshapeAttributes((1, *dims)))


def relu(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    return s.emit("relu", [x])


def add(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    """A sum with an earlier value of the same shape, if there is one, or with a constant."""
    fitting = [n.output for n in s.builder.nodes if s.builder.shape(n.output) == shape]
    if fitting and rng.random() < 0.5:
        return s.emit("add", [x, fitting[rng.integers(len(fitting))]], AddAttributes())
    constant = [n if rng.random() < 0.6 else 1 for n in shape[rng.integers(len(shape)) :]]
    return s.emit("add", [x, s.random("c", *constant)], AddAttributes())


def mean(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    axes = tuple(axis for axis in range(1, len(shape) - 1) if rng.random() < 0.5)
    return s.emit("mean", [x], MeanAttributes(axes or (1,), len(shape) < 3 or rng.random() < 0.5))


def pad(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    border = [(int(a), int(b)) for a, b in rng.integers(0, 2, (len(shape) - 1, 2))]
    return s.emit("pad", [x], PadAttributes(((0, 0), *border)))


def softmax(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    return s.emit("softmax", [x], SoftmaxAttributes())


def fully_connected(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    weights = s.random("w", 6, shape[-1])
    return s.emit("fully_connected", [x, weights, None], FullyConnectedAttributes(keep_dims=True))


def conv2d(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    if len(shape) != 4:
        return reshape(s, rng, x, shape)
    return s.emit("conv2d", [x, s.random("k", 4, 1, 1, shape[-1]), None], Conv2DAttributes())


def batch_norm(s: Sketch, rng: Rng, x: str, shape: Shape) -> str:
    return s.batch_norm(x)


Step = Callable[[Sketch, Rng, str, Shape], str]
MOVES: tuple[Step, ...] = (transpose, reshape)
STEPS: tuple[Step, ...] = (relu, add, mean, pad, softmax, fully_connected, conv2d)


def random_graph(rng: Rng, steps: tuple[Step, ...]) -> Graph:
    """Up to a dozen nodes, every second one a transpose or a reshape, with one or two outputs."""
    s = Sketch(1, *rng.integers(1, 5, 3).tolist())
    values = [s.x]
    for _ in range(int(rng.integers(3, 13))):
        x = values[-1] if rng.random() < 0.8 else values[rng.integers(len(values))]
        table = MOVES if rng.random() < 0.5 else steps
        step = table[rng.integers(len(table))]
        y = step(s, rng, x, s.builder.shape(x))
        if np.prod(s.builder.shape(y)) <= LARGEST:
            values.append(y)
    names = dict.fromkeys([values[-1], values[rng.integers(len(values))]])
    graph = s.graph(*(name for name in names if name != s.x or len(names) == 1))
    return graph.replace(input_permutations={"x": (0, 2, 3, 1)} if rng.random() < 0.5 else {})


@pytest.mark.parametrize("seed", range(5))
def test_float_graphs_keep_their_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(GRAPHS_OF_A_TEST):
        before = random_graph(rng, (*STEPS, batch_norm))
        after = pipeline.run(before)
        assert_same(before, after, 1e-4)
        assert counts(after)["transpose"] <= counts(before)["transpose"]


@pytest.mark.parametrize("seed", range(5))
def test_int8_graphs_keep_their_bytes(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for _ in range(GRAPHS_OF_A_TEST):
        before = arbitrary_int8(random_graph(rng, STEPS))
        after = pipeline.run(before)
        for want, got in zip(run_as_given(before), run_as_given(after), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("seed", range(5))
def test_every_name_that_stays_keeps_its_bytes_and_layout(seed: int) -> None:
    """What parity with a given file compares: outputs as they are, and tensors by their names."""
    rng = np.random.default_rng(200 + seed)
    moved = shared = 0
    for _ in range(GRAPHS_OF_A_TEST):
        before = arbitrary_int8(random_graph(rng, STEPS)).replace(input_permutations={})
        after = pipeline.run(before, keep_layout=True)
        assert after.inputs == before.inputs
        assert after.input_permutations == after.output_permutations == {}
        feeds = random_feeds(before, 4, seed)
        want, got = run_int(before, feeds), run_int(after, feeds)
        for name, result in zip(before.outputs, after.outputs, strict=True):
            np.testing.assert_array_equal(got[result], want[name])
        for name in want.keys() & got.keys():
            np.testing.assert_array_equal(got[name].reshape(-1), want[name].reshape(-1))
            shared += 1
        moved += sum(name.endswith("_inner") for name in got)
    assert shared > 4 * GRAPHS_OF_A_TEST
    assert moved


def test_what_is_written_is_read_with_every_tensor() -> None:
    """An exported folder is opened without the passes, which might find more to move."""
    rng = np.random.default_rng(300)
    for _ in range(GRAPHS_OF_A_TEST):
        graph = pipeline.run(arbitrary_int8(random_graph(rng, STEPS)))
        if problems(graph):
            continue
        again = load(to_tflite(graph), "net")
        assert {*graph.activations()} <= {*again.activations()}
        assert again.outputs == graph.outputs
