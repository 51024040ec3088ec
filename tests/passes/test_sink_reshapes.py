from __future__ import annotations

import numpy as np

from edgecnn import verify
from edgecnn.frontends.builder import GraphBuilder
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.sink_reshapes import sink_reshapes
from edgecnn.simulator import run_float


def reshape(b: GraphBuilder, x: str, *shape: int) -> str:
    return b.emit("reshape", [x], ReshapeAttributes(shape))


def test_moves_reshapes_below_activations_and_sums() -> None:
    b = GraphBuilder("net")
    first, second = (b.add_input(name, (1, 1, 4, 3)) for name in ("a", "b"))
    y = b.emit("relu", [reshape(b, first, 1, 4, 3)])
    total = b.emit("add", [y, reshape(b, second, 1, 4, 3)], AddAttributes())
    b.outputs.append(b.emit("relu6", [total], name="end"))
    graph = b.finish()
    after = sink_reshapes(graph)
    verify.check(after)
    assert [node.op for node in after.nodes] == ["relu", "add", "relu6", "reshape"]
    assert after.outputs == graph.outputs
    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(0, 4, (3, 1, 1, 4, 3)).astype(np.float32) for name in ("a", "b")}
    (name,) = graph.outputs
    np.testing.assert_array_equal(run_float(graph, feeds)[name], run_float(after, feeds)[name])


def test_leaves_sums_of_different_shapes_before_the_reshape() -> None:
    b = GraphBuilder("net")
    first, second = b.add_input("a", (1, 12)), b.add_input("b", (1, 2, 6))
    sides = [reshape(b, first, 1, 4, 3), reshape(b, second, 1, 4, 3)]
    b.outputs.append(b.emit("add", [*sides], AddAttributes()))
    graph = b.finish()
    assert [n.op for n in sink_reshapes(graph).nodes] == ["reshape", "reshape", "add"]


def test_leaves_numbers_that_have_more_axes_than_the_source() -> None:
    b = GraphBuilder("net")
    x = reshape(b, b.add_input("a", (1, 12)), 1, 1, 4, 3)
    number = b.constant(np.ones((1, 1, 1, 1), np.float32))
    b.outputs.append(b.emit("add", [x, number], AddAttributes()))
    after = sink_reshapes(b.finish())
    verify.check(after)
    assert [n.op for n in after.nodes] == ["reshape", "add"]


def test_leaves_vectors_that_are_broadcast() -> None:
    b = GraphBuilder("net")
    x = reshape(b, b.add_input("a", (1, 12)), 1, 4, 3)
    b.outputs.append(b.emit("add", [x, b.constant(np.ones(3, np.float32))], AddAttributes()))
    graph = b.finish()
    assert [n.op for n in sink_reshapes(graph).nodes] == ["reshape", "add"]
