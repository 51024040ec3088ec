"""Networks that were quantized elsewhere, as QDQ: their scales and integers are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx.helper import make_node as node

from edgecnn.errors import UnsupportedError, UserError
from edgecnn.ir import QuantParams
from edgecnn.passes import pipeline
from edgecnn.simulator import run_int
from tests.onnx_models import assert_close, counts, model_of, random, random_feeds, read, run_graph
from tests.qdq_models import (
    Network,
    assert_near_reference,
    assert_runners_agree,
    biases,
    draw,
    evaluated,
    int8,
    weights,
)


def classifier(unsigned: bool = True, **conv: Any) -> tuple[Network, str]:
    """Conv, Relu, MaxPool, Conv depthwise, GlobalAveragePool, Flatten, Gemm."""
    n = Network(unsigned=unsigned)
    x = n.rounded("x", 0.05, 3)
    scales = draw.uniform(0.002, 0.01, 6).astype(np.float32)
    w, b = n.codes("w1", weights(6, 4, 3, 3), scales), n.codes("b1", biases(6), scales * 0.05)
    c = n.float("Conv", x, w, b, pads=[1, 1, 1, 1], **conv)
    r = n.rounded(n.float("Relu", c), 0.04, -128)
    p = n.rounded(n.float("MaxPool", r, kernel_shape=[2, 2], strides=[2, 2]), 0.04, -128)
    d = n.float("Conv", p, n.codes("w2", weights(6, 1, 3, 3), 0.01), group=6)
    low, high = n.constant("low", np.float32(0)), n.constant("high", np.float32(6))
    d = n.rounded(n.float("Clip", d, low, high), 0.0235, -128)
    g = n.rounded(n.float("GlobalAveragePool", d), 0.02, -128)
    w3, b3 = n.codes("w3", weights(6, 5), 0.004), n.codes("b3", biases(5, 90), 0.004 * 0.02)
    return n, n.rounded(n.float("Gemm", n.float("Flatten", g), w3, b3), 0.05, 7)


@pytest.mark.parametrize("unsigned", [False, True])
def test_classifier(unsigned: bool) -> None:
    network, output = classifier(unsigned)
    graph = int8(network.model(output))
    assert [n.op for n in graph.nodes if n.op != "reshape"] == [
        "conv2d", "max_pool2d", "depthwise_conv2d", "mean", "fully_connected",
    ]  # fmt: skip
    assert [getattr(graph.nodes[i].attributes, "activation", "") for i in (0, 2)] == [
        "relu", "relu6",
    ]  # fmt: skip
    assert graph.tensors["x"].quant == QuantParams.per_tensor(0.05, 3)
    assert graph.tensors["y"].quant == QuantParams.per_tensor(0.05, 7)
    assert_near_reference(graph, network.model(output))


def test_layers_of_sequences() -> None:
    n = Network((1, 4, 16))
    x = n.rounded("x", 0.05, 3)
    scales = draw.uniform(0.002, 0.01, 6).astype(np.float32)
    w, b = n.codes("w", weights(6, 4, 3), scales), n.codes("b", biases(6), scales * 0.05)
    r = n.rounded(n.float("Relu", n.float("Conv", x, w, b, pads=[1, 1])), 0.04, -128)
    p = n.rounded(n.float("MaxPool", r, kernel_shape=[2], strides=[2]), 0.04, -128)
    model = n.model(n.rounded(n.float("GlobalAveragePool", p), 0.02, -128))
    graph = int8(model)
    assert counts(graph)["conv2d"] == counts(graph)["max_pool2d"] == 1
    assert_near_reference(graph, model)


def test_integers_and_scales_are_those_of_the_file() -> None:
    network, output = classifier()
    graph, given = int8(network.model(output)), network.constants
    conv, dense = graph.nodes[0], graph.nodes[-1]
    w1, b1 = (graph.tensors[name] for name in conv.inputs[1:])
    np.testing.assert_array_equal(w1.data, given["w1"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(b1.data, given["b1"])
    assert w1.quant == QuantParams(tuple(map(float, given["w1_s"])), (0,) * 6, 0)
    w3, b3 = (graph.tensors[name] for name in dense.inputs[1:])
    np.testing.assert_array_equal(w3.data, given["w3"].T)
    np.testing.assert_array_equal(b3.data, given["b3"])
    assert [w1.name, b1.name, w3.name, b3.name] == ["w1", "b1", "w3", "b3"]


def test_large_biases_keep_every_bit() -> None:
    n = Network((1, 4))
    bias = np.array([2**30 + 1, -(2**30) + 3, 7], np.int32)
    w, b = n.codes("w", weights(3, 4), 0.01), n.codes("b", bias, 0.01 * np.float32(0.05))
    y = n.rounded(n.float("Gemm", n.rounded("x", 0.05), w, b, transB=1), 4e4)
    graph = read(n.model(y))
    np.testing.assert_array_equal(graph.tensors["b"].data, bias)


def test_residual_sum_and_constant_operand() -> None:
    n = Network()
    x = n.rounded("x", 0.03, -5)
    w = n.codes("w", weights(4, 4, 1, 1), 0.01)
    c = n.rounded(n.float("Conv", x, w), 0.09, 4)
    s = n.rounded(n.float("Add", c, x), 0.1, -4)
    k = n.codes("k", weights(4, 1, 1), 0.02)
    model = n.model(n.rounded(n.float("Relu", n.float("Add", s, k)), 0.06, -128))
    graph = int8(model)
    assert counts(graph) == {"conv2d": 1, "add": 2}
    assert_near_reference(graph, model)


def test_unquantized_bias_takes_the_scale_of_the_sums() -> None:
    n = Network()
    w = n.codes("w", weights(3, 4, 2, 2), 0.01)
    bias = n.constant("b", random(3))
    model = n.model(n.rounded(n.float("Conv", n.rounded("x", 0.03), w, bias), 0.07))
    graph = int8(model)
    assert_near_reference(graph, model)
    np.testing.assert_allclose(
        graph.tensors["b"].data * np.float64(0.01) * 0.03, n.constants["b"], atol=2e-4
    )


def pooled(inside: bool) -> Any:
    """A network that pools codes, or their reals, which is the same."""
    n = Network()
    s, z = n.constant("s", np.float32(0.05)), n.constant("z", np.int8(3))
    window = {"kernel_shape": [2, 2]}
    x = "x" if inside else n.float("MaxPool", "x", **window)
    codes = n.float("QuantizeLinear", x, s, z)
    codes = n.float("MaxPool", codes, **window) if inside else codes
    codes = n.float("Transpose", codes, perm=[0, 2, 3, 1])
    real = n.float("DequantizeLinear", n.float("Flatten", codes), s, z)
    w = n.codes("w", (np.arange(420) * 37 % 255 - 127).astype(np.int8), 0.01)
    w = n.float("Reshape", w, n.constant("shape", np.array([140, 3])))
    return n.model(n.rounded(n.float("MatMul", real, w), 0.07))


def test_moves_between_quantize_and_dequantize() -> None:
    """Codes themselves may be pooled and reshaped (where ONNX's evaluator cannot pool them)."""
    graph = int8(pooled(inside=True))
    assert counts(graph)["transpose"] == 0
    assert_near_reference(graph, pooled(inside=False))


def test_weights_may_be_transposed_after_dequantizing() -> None:
    n = Network((1, 12))
    w = n.float("Transpose", n.codes("w", weights(3, 12), [0.01, 0.02, 0.03]), perm=[1, 0])
    model = n.model(n.rounded(n.float("MatMul", n.rounded("x", 0.05), w), 0.1))
    graph = int8(model)
    np.testing.assert_array_equal(graph.tensors["w"].data, n.constants["w"])
    assert_near_reference(graph, model)


def test_weights_that_are_quantized_in_the_graph() -> None:
    """QuantizeLinear of a float constant is computed right away."""
    n = Network((1, 12), unsigned=False)
    w = n.rounded(n.constant("w", random(12, 3)), 0.02)
    model = n.model(n.rounded(n.float("MatMul", n.rounded("x", 0.05), w), 0.1))
    assert_near_reference(int8(model), model)


def test_int8_input_and_output() -> None:
    """A network may start and end in codes; its first and last scale are known all the same."""
    from onnx import TensorProto

    from tests.onnx_models import value

    nodes = [
        node("DequantizeLinear", ["x", "s", "z"], ["r"]),
        node("Relu", ["r"], ["a"]),
        node("QuantizeLinear", ["a", "s", "z"], ["y"]),
    ]
    constants = {"s": np.float32(0.1), "z": np.int8(-9)}
    model = model_of(nodes, [value("x", (1, 5), TensorProto.INT8)], constants)
    graph = int8(model)
    codes = np.array([[-128, -10, -9, 50, 127]], np.int8)
    values = run_int(graph, {"x": codes[None]})
    np.testing.assert_array_equal(values[graph.outputs[0]][0], np.maximum(codes, -9))


def test_weights_alone_in_int8_make_a_float_network() -> None:
    n = Network()
    scales = np.array([0.01, 0.02, 0.03], np.float32)
    model = n.model(n.float("Conv", "x", n.codes("w", weights(3, 4, 3, 3), scales)))
    graph = pipeline.run(read(model))
    feeds = random_feeds(graph)
    assert_close(run_graph(graph, feeds), evaluated(model, feeds))


def test_float_meaning_of_both_together() -> None:
    """Up to ties, which ONNX rounds to even."""
    from edgecnn.operators import operator
    from edgecnn.ops.fake_quantize import FakeQuantizeAttributes

    n = Network((1, 500))
    model = n.model(n.rounded("x", 0.037, -11))
    x = random(1, 500) * 4
    attributes = FakeQuantizeAttributes(QuantParams.per_tensor(0.037, -11))
    assert_close(
        operator("fake_quantize").evaluate_float(attributes, [x]), evaluated(model, {"x": x})
    )


def broken(make: Callable[[Network, str], str]) -> Any:
    """A network whose input is rounded to scale 0.05, zero point 0."""
    n = Network(unsigned=False)
    return n.model(make(n, n.rounded("x", 0.05)))


def with_weights(n: Network, x: str, w: str) -> str:
    return n.rounded(n.float("Conv", x, w), 0.1)


def asymmetric(n: Network, x: str) -> str:
    n.codes("w", weights(4, 4, 2, 2), 0.01)
    n.constant("w_z", np.int8(5))
    return with_weights(n, x, "w_real")


REFUSED: dict[str, tuple[Callable[[Network, str], str], tuple[str, ...]]] = {
    "no scale behind": (
        lambda n, x: n.float("Conv", x, n.codes("w", weights(3, 4, 2, 2), 0.01)),
        ("conv2d", "no QuantizeLinear follows"),
    ),
    "asymmetric weights": (asymmetric, ("'w'", "zero point", "symmetric")),
    "operand with several scales": (
        lambda n, x: n.rounded(
            n.float("Add", x, n.codes("k", weights(4, 1, 1), [0.1, 0.2, 0.3, 0.4])), 0.1
        ),
        ("'k'", "several scales"),
    ),
    "several scales": (
        lambda n, x: n.float(
            "Add", n.rounded(r := n.float("Relu", x), 0.1), n.rounded(r, 0.2)
        ),
        ("relu", "several scales"),
    ),
    "also used in float": (
        lambda n, x: n.rounded(n.float("Add", r := n.float("Relu", x), n.rounded(r, 0.2)), 0.1),
        ("relu", "also used in float"),
    ),
    "batch norm": (
        lambda n, x: n.rounded(
            n.float(
                "BatchNormalization", x,
                *(n.constant(f"v{i}", np.abs(random(4)) + 1) for i in range(4)),
            ),
            0.1,
        ),
        ("batch_norm", "fold it before"),
    ),
    "scaled weights": (
        lambda n, x: n.rounded(
            n.float("Gemm", n.float("Flatten", x), n.codes("w", weights(192, 2), 0.01), alpha=0.3),
            0.1,
        ),
        ("'w'", "changed after DequantizeLinear"),
    ),
    "huge bias": (
        lambda n, x: n.rounded(
            n.float(
                "Conv", x, n.codes("w", weights(3, 4, 2, 2), 1e-6), n.constant("b", random(3) * 1e3)
            ),
            0.1,
        ),
        ("'b'", "leaves int32"),
    ),
    "another scale behind": (
        lambda n, x: n.float(
            "DequantizeLinear",
            n.float("QuantizeLinear", n.float("Relu", x), n.constant("a", np.float32(0.1))),
            n.constant("b", np.float32(0.2)),
        ),
        ("differs from the QuantizeLinear",),
    ),
    "several scales of an activation": (
        lambda n, x: n.float(
            "DequantizeLinear",
            n.float("QuantizeLinear", x, n.constant("a", np.full(4, 0.1, np.float32)), axis=1),
            "a",
            axis=1,
        ),
        ("several scales",),
    ),
    "int16 codes": (
        lambda n, x: n.float(
            "QuantizeLinear", x, n.constant("a", np.float32(1)), n.constant("b", np.int16(0))
        ),
        ("int16",),
    ),
    "operators on codes": (
        lambda n, x: n.float(
            "Relu", n.float("QuantizeLinear", x, "q0_s", "q0_z")
        ),
        ("computes on integers",),
    ),
    "unknown operators of ONNX Runtime": (
        lambda n, x: n.float("QLinearWhere", x, domain="com.microsoft"), ("not one of ONNX's own",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    make, messages = REFUSED[case]
    model = broken(make)
    if any(n.domain for n in model.graph.node):
        model.opset_import.add(domain="com.microsoft", version=1)
    if case == "int16 codes":
        model.opset_import[0].version = 21
        model.ir_version = 10
    with pytest.raises(UserError) as error:
        read(model)
    assert isinstance(error.value, UnsupportedError)
    assert [m for m in messages if m not in str(error.value)] == [], str(error.value)
    assert "\n" not in str(error.value)


def test_names_what_computes_scales() -> None:
    outputs = ["codes", "scale", "zero"]
    nodes = [
        node("DynamicQuantizeLinear", ["x"], outputs),
        node("DequantizeLinear", outputs, ["y"]),
    ]
    with pytest.raises(UnsupportedError, match="scales at run time: export the float model"):
        read(model_of(nodes, {"x": (1, 4)}, opset=13))


def test_lists_every_problem() -> None:
    def make(n: Network, x: str) -> str:
        first = asymmetric(n, x)
        k = n.codes("k", weights(4, 1, 1), [0.1, 0.2, 0.3, 0.4])
        second = n.rounded(n.float("Add", n.float("MaxPool", x, kernel_shape=[2, 2]), k), 0.04)
        return n.rounded(n.float("Add", first, second), 0.1)

    with pytest.raises(UnsupportedError) as error:
        read(broken(make))
    assert [p.operator for p in error.value.problems] == ["conv2d", "add"]


@pytest.mark.parametrize("unsigned", [False, True])
def test_every_runner_computes_the_same(unsigned: bool) -> None:
    network, output = classifier(unsigned)
    assert_runners_agree(int8(network.model(output)))
