from __future__ import annotations

from edgecnn.ir import QuantParams
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.merge_reshapes import merge_reshapes
from tests.passes.graphs import Sketch, assert_same, with_tensor
from tests.passes.int8_graphs import arbitrary_int8
from tests.torch_helpers import counts


def reshape(s: Sketch, x: str, shape: tuple[int, ...], name: str) -> str:
    return s.emit("reshape", [x], ReshapeAttributes(shape), name)


def test_joins_chains_and_drops_idle_ones() -> None:
    s = Sketch(1, 12)
    y = reshape(s, reshape(s, s.x, (1, 3, 4), "a"), (1, 12), "b")
    z = reshape(s, reshape(s, s.emit("relu", [y]), (1, 2, 6), "c"), (1, 6, 2), "d")
    before = s.graph(z)
    after = merge_reshapes(before)
    assert_same(before, after)
    assert [(n.op, n.inputs[0], n.output) for n in after.nodes] == [
        ("relu", "x", "relu"), ("reshape", "relu", "d"),
    ]  # fmt: skip


def test_an_output_keeps_its_name() -> None:
    s = Sketch(1, 12)
    a = s.emit("relu", [s.x], name="a")
    before = s.graph(reshape(s, a, (1, 12), "out"), s.emit("relu6", [a], name="other"))
    after = merge_reshapes(before)
    assert_same(before, after)
    assert after.outputs == ("out", "other")
    assert counts(after) == {"relu": 1, "relu6": 1}


def test_a_reshape_between_an_input_and_an_output_stays() -> None:
    s = Sketch(1, 12)
    before = s.graph(reshape(s, s.x, (1, 12), "out"))
    after = merge_reshapes(before)
    assert_same(before, after)
    assert (after.inputs, after.outputs) == (("x",), ("out",))


def test_two_outputs_of_one_value_stay_two() -> None:
    s = Sketch(1, 12)
    a = s.emit("relu", [s.x], name="a")
    before = s.graph(a, reshape(s, a, (1, 12), "b"))
    after = merge_reshapes(before)
    assert_same(before, after)
    assert after.outputs == ("a", "b")


def test_a_reshape_read_by_others_stays_too() -> None:
    s = Sketch(1, 12)
    a = reshape(s, s.x, (1, 3, 4), "a")
    before = s.graph(s.emit("relu", [a], name="y"), reshape(s, a, (1, 4, 3), "z"))
    after = merge_reshapes(before)
    assert_same(before, after)
    assert {n.output: n.inputs for n in after.nodes}["z"] == ("x",)


def test_a_reshape_that_changes_the_scale_is_left_alone() -> None:
    s = Sketch(1, 12)
    graph = arbitrary_int8(s.graph(s.emit("relu", [reshape(s, s.x, (1, 12), "a")])))
    graph = with_tensor(graph, "a", quant=QuantParams.per_tensor(0.5, 3))
    assert merge_reshapes(graph).nodes == graph.nodes
