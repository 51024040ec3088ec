from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgecnn.ir import QuantParams
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.passes.cancel_transposes import cancel_transposes
from edgecnn.passes.views import View, regrouped, reshaped
from tests.passes.graphs import Sketch, assert_same, with_tensor
from tests.passes.int8_graphs import arbitrary_int8
from tests.torch_helpers import counts

SHAPE = (1, 3, 4, 5)
ORDERS = [(0, *rest) for rest in itertools.permutations((1, 2, 3))]


def turned(sketch: Sketch, x: str, order: tuple[int, ...]) -> str:
    return sketch.emit("transpose", [x], TransposeAttributes(order), "turned")


@pytest.mark.parametrize("first", ORDERS)
@pytest.mark.parametrize("second", ORDERS)
def test_folds_transposes_into_both_ends(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    s = Sketch(*SHAPE)
    y = s.emit("relu", [turned(s, s.emit("relu", [turned(s, s.x, first)]), second)])
    before = s.graph(y)
    after = cancel_transposes(before)
    assert_same(before, after)
    assert counts(after) == {"relu": 2}


def test_a_transpose_of_the_batch_stays() -> None:
    s = Sketch(1, 3)
    before = s.graph(s.emit("relu", [turned(s, s.x, (1, 0))]))
    after = cancel_transposes(before)
    assert_same(before, after)
    assert after.input_permutations == after.output_permutations == {}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("constant", [(1,), (5,), (4, 1), (3, 1, 1), (3, 4, 5), (1, 3, 1, 5)])
def test_permutes_the_constant_of_a_sum(order: tuple[int, ...], constant: tuple[int, ...]) -> None:
    s = Sketch(*(SHAPE[order.index(axis)] for axis in range(4)))
    y = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), order)
    before = s.graph(s.emit("add", [s.random("bias", *constant), y], AddAttributes()))
    after = cancel_transposes(before)
    assert_same(before, after)
    assert counts(after) == {"softmax": 1, "add": 1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [(1,), (3,), (1, 2), (2, 3), (1, 2, 3)])
def test_moves_past_means_and_pads(
    order: tuple[int, ...], keep: bool, axes: tuple[int, ...]
) -> None:
    s = Sketch(*SHAPE)
    x = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), order)
    padded = s.emit("pad", [x], PadAttributes(((0, 0), (1, 0), (0, 2), (3, 1)), 0.5))
    before = s.graph(s.emit("mean", [padded], MeanAttributes(axes, keep)))
    after = cancel_transposes(before)
    assert_same(before, after, 1e-6)
    assert counts(after)["transpose"] == 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("flat", [(1, 60), (1, 3, 20), (1, 15, 4), (1, 3, 2, 2, 5), (1, 1, 60)])
@pytest.mark.parametrize("last", ["fully_connected", "softmax", "batch_norm"])
def test_reshapes_of_any_order_keep_their_meaning(
    order: tuple[int, ...], flat: tuple[int, ...], last: str
) -> None:
    s = Sketch(*(SHAPE[order.index(axis)] for axis in range(4)))
    x = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), order)
    y = s.emit("relu", [s.emit("reshape", [x], ReshapeAttributes(flat))])
    if last == "softmax":
        y = s.emit("softmax", [y], SoftmaxAttributes())
    elif last == "batch_norm":
        y = s.batch_norm(y)
    else:
        attributes = FullyConnectedAttributes(keep_dims=True)
        y = s.emit("fully_connected", [y, s.random("w", 2, flat[-1]), None], attributes)
    before = s.graph(y)
    assert_same(before, cancel_transposes(before), 1e-6)


def test_flattened_features_end_without_a_transpose() -> None:
    s = Sketch(*SHAPE)
    x = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), (0, 3, 1, 2))
    flat = s.emit("reshape", [x], ReshapeAttributes((1, 60)), "flat")
    y = s.emit("add", [s.emit("relu", [s.batch_norm(flat)]), s.random("bias", 60)], AddAttributes())
    weights = s.random("w", 2, 60)
    before = s.graph(
        s.emit("fully_connected", [y, weights, s.random("b", 2)], FullyConnectedAttributes())
    )
    after = cancel_transposes(before)
    assert_same(before, after, 1e-6)
    assert counts(after)["transpose"] == 0
    assert sorted(after.tensors["w"].data.ravel()) == sorted(before.tensors["w"].data.ravel())


def test_weights_read_elsewhere_are_copied() -> None:
    s = Sketch(*SHAPE)
    x = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), (0, 3, 1, 2))
    straight = s.emit("reshape", [s.x], ReshapeAttributes((1, 60)))
    flat = s.emit("reshape", [x], ReshapeAttributes((1, 60)))
    w = s.random("w", 2, 60)
    ys = [
        s.emit("fully_connected", [v, w, None], FullyConnectedAttributes())
        for v in (straight, flat)
    ]
    before = s.graph(*ys)
    after = cancel_transposes(before)
    assert_same(before, after, 1e-6)
    assert set(after.tensors) >= {"w", "w_1"}


def test_outputs_that_need_two_layouts_get_both() -> None:
    s = Sketch(*SHAPE)
    y = s.emit("softmax", [s.x], SoftmaxAttributes(), "y")
    before = s.graph(y, turned(s, y, (0, 3, 1, 2)))
    after = cancel_transposes(before)
    assert_same(before, after)
    assert after.outputs == ("y", "turned")


def test_an_input_that_is_read_in_two_layouts_stays() -> None:
    s = Sketch(*SHAPE)
    a = s.emit("softmax", [s.x], SoftmaxAttributes())
    b = s.emit("softmax", [turned(s, s.x, (0, 1, 3, 2))], SoftmaxAttributes())
    before = s.graph(a, b)
    after = cancel_transposes(before)
    assert_same(before, after)
    assert after.input_permutations == {}


def test_a_flattened_output_keeps_its_name() -> None:
    s = Sketch(*SHAPE)
    x = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), (0, 3, 1, 2))
    before = s.graph(s.emit("relu", [s.emit("reshape", [x], ReshapeAttributes((1, 60)))], name="y"))
    after = cancel_transposes(before)
    assert_same(before, after)
    assert after.outputs == ("y",)
    assert counts(after)["transpose"] == 1


def test_a_transpose_that_changes_the_scale_is_left_alone() -> None:
    s = Sketch(*SHAPE)
    y = turned(s, s.emit("softmax", [s.x], SoftmaxAttributes()), (0, 3, 1, 2))
    graph = arbitrary_int8(s.graph(s.emit("relu", [y])))
    graph = with_tensor(graph, y, quant=QuantParams.per_tensor(0.5, 3))
    assert cancel_transposes(graph).nodes == graph.nodes


def materialize(view: View, source: np.ndarray) -> np.ndarray:
    return source.reshape(view.split).transpose(view.permutation).reshape(view.shape)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "target", [(1, 24), (24,), (2, 12), (6, 4), (1, 2, 3, 4), (1, 6, 4, 1), (2, 1, 3, 2, 2), (3, 8)]
)
def test_views_of_reshapes(order: tuple[int, ...], target: tuple[int, ...]) -> None:
    source = np.arange(24).reshape(1, 2, 3, 4)
    plain = View.plain("s", source.shape, order)
    want = materialize(plain, source).reshape(target)
    moved = reshaped(plain, target)
    if moved is not None:
        np.testing.assert_array_equal(source.reshape(moved[0]).transpose(moved[1]), want)
    view = View("s", source.shape, source.shape, order, target)
    np.testing.assert_array_equal(view.to_source(want), source)
    written, permutation = regrouped(view)
    np.testing.assert_array_equal(materialize(written, source).transpose(permutation), want)
    columns = view.columns(target[-1])
    if columns is not None:
        rows = source.reshape(-1, target[-1])[:, columns]
        np.testing.assert_array_equal(rows, want.reshape(rows.shape))
