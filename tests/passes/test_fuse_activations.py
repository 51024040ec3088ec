from __future__ import annotations

import pytest

from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.passes.fuse_activations import fuse_activations
from tests.passes.graphs import Sketch, assert_same
from tests.passes.int8_graphs import arbitrary_int8


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("op", ["add", "max_pool2d", "average_pool2d"])
def test_fuses_and_keeps_the_name_of_the_activation(op: str, activation: str) -> None:
    s = Sketch(1, 4, 4, 3)
    attributes = {
        "add": AddAttributes(),
        "max_pool2d": MaxPool2DAttributes((2, 2)),
        "average_pool2d": AveragePool2DAttributes((2, 2)),
    }[op]
    inputs = [s.x, s.random("c", 3)] if op == "add" else [s.x]
    before = s.graph(s.emit(activation, [s.emit(op, inputs, attributes)], name="clamped"))
    after = fuse_activations(before)
    assert_same(before, after)
    (node,) = after.nodes
    assert (node.op, node.output, node.attributes.activation) == (op, "clamped", activation)


@pytest.mark.parametrize("obstacle", ["other reader", "output", "fused before", "cannot fuse"])
def test_leaves_the_activation(obstacle: str) -> None:
    s = Sketch(1, 7)
    fused = "relu6" if obstacle == "fused before" else "none"
    if obstacle == "cannot fuse":
        y = s.emit("mean", [s.x], MeanAttributes((1,), True))
    else:
        weights = s.random("w", 6, 7)
        y = s.emit("fully_connected", [s.x, weights, None], FullyConnectedAttributes(fused))
    outputs = [s.emit("relu", [y])]
    if obstacle == "other reader":
        outputs.append(s.emit("relu6", [y]))
    elif obstacle == "output":
        outputs.append(y)
    before = s.graph(*outputs)
    assert fuse_activations(before).nodes == before.nodes


def test_only_the_first_of_two_activations_is_fused() -> None:
    s = Sketch(1, 7)
    y = s.emit("add", [s.x, s.random("c", 7)], AddAttributes())
    before = s.graph(s.emit("relu6", [s.emit("relu", [y])]))
    after = fuse_activations(before)
    assert_same(before, after)
    assert [node.op for node in after.nodes] == ["add", "relu6"]


def test_int8_graphs_are_left_alone() -> None:
    s = Sketch(1, 7)
    y = s.emit("add", [s.x, s.random("c", 7)], AddAttributes())
    graph = arbitrary_int8(s.graph(s.emit("relu", [y])))
    assert fuse_activations(graph) is graph
