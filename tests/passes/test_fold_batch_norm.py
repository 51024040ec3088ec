from __future__ import annotations

import numpy as np
import pytest

from edgecnn.ir import Attributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.passes.fold_batch_norm import fold_batch_norm
from tests.passes.graphs import Sketch, assert_same
from tests.torch_helpers import counts

LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], Attributes]] = {
    "conv2d": ((1, 5, 4, 3), (6, 2, 3, 3), Conv2DAttributes(padding=(1, 0, 1, 1))),
    "depthwise_conv2d": ((1, 5, 4, 3), (1, 2, 3, 6), DepthwiseConv2DAttributes()),
    "fully_connected": ((1, 7), (6, 7), FullyConnectedAttributes()),
}


@pytest.mark.parametrize("op", LAYERS)
@pytest.mark.parametrize("biased", [True, False])
def test_folds_into_the_layer_before(op: str, biased: bool) -> None:
    shape, weights, attributes = LAYERS[op]
    s = Sketch(*shape)
    bias = s.random("bias", 6) if biased else None
    y = s.batch_norm(s.emit(op, [s.x, s.random("weights", *weights), bias], attributes))
    before = s.graph(y)
    after = fold_batch_norm(before)
    assert_same(before, after, 1e-5)
    assert [(n.op, n.output) for n in after.nodes] == [(op, "norm")]
    (node,) = after.nodes
    assert node.inputs[1:] == ("weights", "bias" if biased else "norm.bias")
    assert {after.tensors[name].dtype for name in node.inputs} == {"float32"}


def test_folds_exactly() -> None:
    """Products are rounded to float32 once, from float64."""
    s = Sketch(1, 1)
    w = s.builder.constant(np.float32([[1 / 3]]), "w")
    y = s.batch_norm(s.emit("fully_connected", [s.x, w, None], FullyConnectedAttributes()))
    before = s.graph(y)
    gamma, variance = (
        np.float64(before.tensors[f"norm.{part}"].data[0]) for part in ("weight", "variance")
    )
    exact = np.float64(np.float32(1 / 3)) * (gamma / np.sqrt(variance + 1e-5))
    assert fold_batch_norm(before).tensors["w"].data[0, 0] == np.float32(exact)


@pytest.mark.parametrize("shape", [(1, 5, 4, 3), (1, 7), (1, 4, 3)])
def test_becomes_a_depthwise_convolution(shape: tuple[int, ...]) -> None:
    s = Sketch(*shape)
    before = s.graph(s.batch_norm(s.emit("relu", [s.x])))
    after = fold_batch_norm(before)
    assert_same(before, after, 1e-5)
    assert counts(after)["depthwise_conv2d"] == 1
    assert counts(after)["reshape"] == (0 if len(shape) == 4 else 2)
    assert after.outputs == before.outputs


@pytest.mark.parametrize("obstacle", ["other reader", "output", "activation"])
def test_does_not_change_what_others_read(obstacle: str) -> None:
    s = Sketch(1, 7)
    attributes = FullyConnectedAttributes("relu" if obstacle == "activation" else "none")
    fc = s.emit("fully_connected", [s.x, s.random("w", 6, 7), None], attributes)
    outputs = [s.batch_norm(fc)]
    if obstacle == "other reader":
        outputs.append(s.emit("relu", [fc]))
    elif obstacle == "output":
        outputs.append(fc)
    before = s.graph(*outputs)
    after = fold_batch_norm(before)
    assert_same(before, after, 1e-5)
    np.testing.assert_array_equal(after.tensors["w"].data, before.tensors["w"].data)
    assert counts(after)["depthwise_conv2d"] == 1


def test_shared_weights_are_copied() -> None:
    s = Sketch(1, 7)
    w, bias = s.random("w", 6, 7), s.random("bias", 6)
    ys = [
        s.batch_norm(
            s.emit("fully_connected", [s.x, w, bias], FullyConnectedAttributes()), f"norm{i}"
        )
        for i in range(2)
    ]
    before = s.graph(*ys, s.emit("fully_connected", [s.x, w, bias], FullyConnectedAttributes()))
    after = fold_batch_norm(before)
    assert_same(before, after, 1e-5)
    assert counts(after) == {"fully_connected": 3}


def test_two_in_a_row_fold_both() -> None:
    s = Sketch(1, 7)
    fc = s.emit("fully_connected", [s.x, s.random("w", 6, 7), None], FullyConnectedAttributes())
    before = s.graph(s.batch_norm(s.batch_norm(fc, "first"), "second"))
    after = fold_batch_norm(before)
    assert_same(before, after, 1e-5)
    assert counts(after) == {"fully_connected": 1}
