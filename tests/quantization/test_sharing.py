from __future__ import annotations

import numpy as np
import pytest

from edgecnn import verify
from edgecnn.errors import UnsupportedError
from edgecnn.frontends.builder import GraphBuilder
from edgecnn.ir import Graph
from edgecnn.operators import operators
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.simulator import run_int


def relu(b: GraphBuilder, x: str) -> str:
    return b.emit("relu", [x])


def concat(b: GraphBuilder, *values: str) -> str:
    return b.emit("concat", [*values], ConcatAttributes(3))


def quantized(b: GraphBuilder, /, *outputs: str, **scales: float) -> Graph:
    b.outputs.extend(outputs)
    graph = b.finish()
    rng = np.random.default_rng(1)
    feeds = {
        name: (rng.uniform(-1, 1, (8, *graph.tensors[name].shape)) * scales[name]).astype("float32")
        for name in graph.inputs
    }
    result = quantize_graph(graph, feeds, "minmax")
    verify.check(result)
    return result


def inputs(**channels: int) -> GraphBuilder:
    b = GraphBuilder("net")
    for name, count in channels.items():
        b.add_input(name, (1, 4, 4, count))
    return b


def test_what_is_joined_shares_the_union_of_the_ranges() -> None:
    b = inputs(a=2, b=3)
    graph = quantized(b, concat(b, relu(b, "a"), relu(b, "b")), a=1.0, b=8.0)
    quants = {graph.tensors[node.output].quant for node in graph.nodes}
    (quant,) = quants
    assert quant is not None
    assert quant.zero_point == (-128,)
    assert 7.0 < quant.scale[0] * 255 < 8.1


def test_past_operators_that_only_move() -> None:
    b = inputs(a=2, b=3)
    small = b.emit("max_pool2d", [relu(b, "a")], MaxPool2DAttributes((1, 1)))
    joined = b.emit("max_pool2d", [concat(b, small, relu(b, "b"))], MaxPool2DAttributes((2, 2)))
    graph = quantized(b, joined, a=1.0, b=8.0)
    assert len({graph.tensors[node.output].quant for node in graph.nodes}) == 1


def test_two_joins_of_one_tensor_share_one_range() -> None:
    b = inputs(a=2, b=3, c=1)
    one, two, three = (relu(b, name) for name in "abc")
    graph = quantized(b, concat(b, one, two), concat(b, one, three), a=1.0, b=8.0, c=30.0)
    assert len({graph.tensors[node.output].quant for node in graph.nodes}) == 1


def test_others_keep_their_own() -> None:
    b = inputs(a=2, b=3)
    graph = quantized(b, relu(b, "a"), relu(b, "b"), a=1.0, b=8.0)
    assert len({graph.tensors[node.output].quant for node in graph.nodes}) == 2


def test_a_constant_joins_too() -> None:
    b = inputs(a=2)
    data = b.constant(np.full((1, 4, 4, 1), -20, np.float32), "minus")
    graph = quantized(b, concat(b, relu(b, "a"), data), a=1.0)
    assert graph.tensors["minus"].quant == graph.tensors[graph.outputs[0]].quant
    assert graph.tensors[graph.outputs[0]].scale * 255 > 20
    feeds = {"a": np.zeros((1, 1, 4, 4, 2), np.int8)}
    assert (run_int(graph, feeds)[graph.outputs[0]][..., 2] == -128).all()


def test_equal_fixed_scales_join() -> None:
    b = inputs(a=2, b=3)
    one, two = (b.emit("softmax", [name], SoftmaxAttributes()) for name in "ab")
    graph = quantized(b, concat(b, one, two), a=1.0, b=8.0)
    assert graph.tensors[graph.outputs[0]].scale == 1 / 256


def test_a_fixed_scale_is_requantized_to_join_others() -> None:
    b = inputs(a=2, b=3)
    joined = concat(b, b.emit("softmax", ["a"], SoftmaxAttributes()), relu(b, "b"))
    if "requantize" not in operators():
        with pytest.raises(UnsupportedError, match="fixed"):
            quantized(b, joined, a=1.0, b=8.0)
        return
    graph = quantized(b, joined, a=1.0, b=8.0)
    assert [n.op for n in graph.nodes].count("requantize") == 1
    assert graph.tensors[joined].scale * 255 > 7
