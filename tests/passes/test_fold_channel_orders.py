from __future__ import annotations

import numpy as np
import pytest

from edgecnn import verify
from edgecnn.frontends.builder import GraphBuilder
from edgecnn.frontends.ops.depth_to_space import swap_channel_groups
from edgecnn.ir import Graph
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.relu import OPERATOR as RELU
from edgecnn.passes.fold_channel_orders import fold_channel_orders
from edgecnn.simulator import run_float

RNG = np.random.default_rng(5)


def conv(b: GraphBuilder, x: str, filters: int, groups: int = 1) -> str:
    depth = b.shape(x)[3] // groups
    weights = b.constant(RNG.normal(0, 1, (filters, 1, 1, depth)).astype(np.float32), "w")
    bias = b.constant(RNG.normal(0, 1, filters).astype(np.float32), "b")
    return b.emit("conv2d", [x, weights, bias], Conv2DAttributes(groups=groups))


def check(b: GraphBuilder, output: str, transposes: int) -> Graph:
    b.outputs.append(output)
    graph = b.finish()
    after = fold_channel_orders(graph)
    verify.check(after)
    assert sum(node.op == "transpose" for node in after.nodes) == transposes
    shape = graph.tensors[graph.inputs[0]].shape
    feeds = {graph.inputs[0]: RNG.normal(0, 1, (2, *shape)).astype(np.float32)}
    want, got = (run_float(g, feeds)[g.outputs[0]] for g in (graph, after))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    return after


@pytest.fixture
def b() -> GraphBuilder:
    builder = GraphBuilder("net")
    builder.add_input("x", (1, 3, 2, 6))
    return builder


def test_into_the_filters_before(b: GraphBuilder) -> None:
    check(b, b.emit("relu", [swap_channel_groups(b, conv(b, "x", 6), 2)], RELU.attributes()), 0)


def test_into_the_weights_behind(b: GraphBuilder) -> None:
    check(b, conv(b, swap_channel_groups(b, "x", 3), 4), 0)


def test_into_the_columns_behind(b: GraphBuilder) -> None:
    weights = b.constant(RNG.normal(0, 1, (4, 6)).astype(np.float32), "w")
    y = swap_channel_groups(b, "x", 3)
    attributes = FullyConnectedAttributes(keep_dims=True)
    check(b, b.emit("fully_connected", [y, weights, None], attributes), 0)


def test_not_into_groups(b: GraphBuilder) -> None:
    y = swap_channel_groups(b, conv(b, "x", 6, groups=2), 2)
    check(b, conv(b, y, 4, groups=2), 1)


def test_not_where_both_orders_are_read(b: GraphBuilder) -> None:
    y = conv(b, "x", 6)
    turned = swap_channel_groups(b, y, 2)
    total = b.emit("add", [y, turned], AddAttributes())
    check(b, total, 1)
