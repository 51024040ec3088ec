"""QDQ networks with other scales than TensorFlow Lite fixes or shares: they are requantized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn.ir import QuantParams
from tests.onnx_models import counts, random
from tests.qdq_models import Network, assert_near_reference, assert_runners_agree, int8, weights


def pooled(op: str, **attributes: Any) -> Callable[[Network, str], str]:
    return lambda n, x: n.rounded(n.float(op, x, **attributes), 0.042, -3)


def joined(n: Network, x: str) -> str:
    """A concatenation of values at two scales, and of a constant, at a third."""
    w = n.codes("w", weights(4, 4, 1, 1), 0.01)
    c = n.rounded(n.float("Conv", x, w), 0.08, 4)
    k = n.codes("k", weights(1, 2, 8, 6), 0.015)
    return n.rounded(n.float("Concat", x, c, k, axis=1), 0.09, 2)


def resized(mode: str) -> Callable[[Network, str], str]:
    def make(n: Network, x: str) -> str:
        scales = n.constant("scales", np.array([1, 1, 2, 2], np.float32))
        y = n.float(
            "Resize",
            x,
            "",
            scales,
            mode=mode,
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        return n.rounded(y, 0.047, 1)

    return make  # fmt: skip


def quantized_late(n: Network, x: str) -> str:
    """Reshapes, transposes and pooling in float between a layer and its QuantizeLinear."""
    w = n.codes("w", weights(4, 4, 3, 3), 0.01)
    y = n.float("MaxPool", n.float("Conv", x, w), kernel_shape=[2, 2])
    y = n.float("Flatten", n.float("Transpose", y, perm=[0, 2, 3, 1]))
    return n.rounded(y, 0.3, 5)


def with_floats(n: Network, x: str) -> str:
    """Weights, a bias and an operand that the file leaves in float."""
    w, b = n.constant("w", random(5, 4, 3, 3) * 0.1), n.constant("b", random(5) * 0.1)
    y = n.rounded(n.float("Conv", x, w, b), 0.02, 4)
    return n.rounded(n.float("Add", y, n.constant("k", random(5, 1, 1))), 0.04, -2)


def also_pooled(n: Network, x: str) -> str:
    """A tensor with a scale whose pooled values, which are taken in float, have another."""
    y = n.float("Sub", x, n.codes("k", weights(4, 1, 1), 0.02))
    pooled = n.rounded(n.float("MaxPool", y, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 0.04)
    return n.rounded(n.float("Add", n.rounded(y, 0.05), pooled), 0.1)


CASES: dict[str, tuple[Callable[[Network, str], str], int]] = {
    "max pooling": (pooled("MaxPool", kernel_shape=[2, 2]), 1),
    "average pooling": (pooled("AveragePool", kernel_shape=[2, 2]), 1),
    "transpose": (pooled("Transpose", perm=[0, 3, 2, 1]), 1),
    "softmax": (lambda n, x: n.rounded(n.float("Softmax", x, axis=1), 1 / 255, -128), 1),
    "sigmoid": (lambda n, x: n.rounded(n.float("Sigmoid", x), 0.0037, -128), 1),
    "tanh": (lambda n, x: n.rounded(n.float("Tanh", x), 0.0075, 2), 1),
    "concatenation": (joined, 2),
    "nearest neighbour": (resized("nearest"), 1),
    "bilinear": (resized("linear"), 1),
    "quantized twice": (lambda n, x: n.rounded(x, 0.061, 4), 1),
    "quantized late": (quantized_late, 0),
    "constants in float": (with_floats, 0),
    "also pooled": (also_pooled, 1),
    "mean at the end": (lambda n, x: n.float("ReduceMean", x, axes=[2], keepdims=0), 0),
    "rectifier at the end": (lambda n, x: n.float("Relu", x), 0),
    "tensor that keeps its scale": (lambda n, x: n.rounded(n.float("Flatten", x), 0.05, 3), 0),
}


def network(case: str, unsigned: bool = True) -> Any:
    n = Network(unsigned=unsigned)
    return n.model(CASES[case][0](n, n.rounded("x", 0.05, 3)))


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_keeps_the_scales_of_the_file(case: str, unsigned: bool) -> None:
    model = network(case, unsigned)
    graph = int8(model)
    assert counts(graph)["requantize"] == CASES[case][1]
    assert graph.tensors["x"].quant == QuantParams.per_tensor(np.float32(0.05), 3)
    assert_near_reference(graph, model)


@pytest.mark.parametrize("case", ["average pooling", "softmax", "concatenation", "quantized late"])
def test_every_runner_computes_the_same(case: str) -> None:
    assert_runners_agree(int8(network(case)))


def test_input_that_is_reshaped_before_it_is_quantized() -> None:
    n = Network((1, 96))
    image = n.float("Reshape", "x", n.constant("shape", np.array([-1, 4, 6, 4])))
    w = n.codes("w", weights(3, 4, 3, 3), 0.01)
    model = n.model(n.rounded(n.float("Conv", n.rounded(image, 0.04, 1), w), 0.1))
    graph = int8(model)
    assert graph.tensors["x"].quant == QuantParams.per_tensor(np.float32(0.04), 1)
    assert_near_reference(graph, model)


def test_concatenation_at_the_end_keeps_a_common_scale() -> None:
    n = Network()
    x = n.rounded("x", 0.05, 3)
    model = n.model(n.float("Concat", x, n.rounded(n.float("Relu", x), 0.05, 3), axis=1))
    graph = int8(model)
    assert counts(graph)["requantize"] == 0
    assert_near_reference(graph, model)
