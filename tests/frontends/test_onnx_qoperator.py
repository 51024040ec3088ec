"""ONNX's QOperator format: each operator against the same network in QDQ, which it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.helper import make_node as node

from edgecnn.errors import UnsupportedError
from edgecnn.ir import Graph
from tests.onnx_models import counts, model_of, read
from tests.qdq_models import Network, assert_near_reference, assert_runners_agree, biases, int8

X, Y = (0.05, 3), (0.09, -7)
draw = np.random.default_rng(5)


class Pair:
    """The same network twice: in QOperators, and in QDQ."""

    def __init__(self, shape: tuple[int, ...] = (1, 4, 8, 6), unsigned: bool = True) -> None:
        self.kind: Any = np.uint8 if unsigned else np.int8
        self.shift = 128 if unsigned else 0
        self.qdq = Network(shape, unsigned)
        self.shape = shape
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.real = self.qdq.rounded("x", *X)
        self.nodes.append(node("QuantizeLinear", ["x", *self.scale("x", *X)], ["x_codes"]))

    def scale(self, name: str, scale: Any, zero_point: Any = 0) -> list[str]:
        self.constants[f"{name}_s"] = np.asarray(scale, np.float32)
        zeros = np.full(np.shape(scale), zero_point + self.shift).astype(self.kind)
        self.constants[f"{name}_z"] = zeros
        return [f"{name}_s", f"{name}_z"]

    def weights(self, shape: tuple[int, ...], scale: Any, axis: int = 0) -> tuple[list[str], str]:
        """int8 weights: names for a QOperator (codes, scale, zero point), and their reals."""
        codes = draw.integers(-127, 128, shape).astype(np.int8)
        real = self.qdq.codes("w", codes, scale, axis)
        self.constants.update({n: self.qdq.constants[n] for n in ("w", "w_s", "w_z")})
        return ["w", "w_s", "w_z"], real

    def bias(self, scale: Any) -> str:
        codes = biases(np.size(scale))
        real = self.qdq.codes("b", codes, np.float32(0.05) * np.asarray(scale, np.float32))
        self.constants["b"] = codes
        return real

    def add(self, op: str, inputs: list[str], **attributes: Any) -> None:
        self.nodes.append(node(op, inputs, ["y_codes"], domain="com.microsoft", **attributes))

    def graphs(self, real: str) -> tuple[Any, Graph, Graph]:
        """The QDQ model, and the int8 graphs of both."""
        self.nodes.append(node("DequantizeLinear", ["y_codes", *self.scale("y", *Y)], ["y"]))
        qdq = self.qdq.model(self.qdq.rounded(real, *Y))
        model = model_of(
            self.nodes, {"x": self.shape}, self.constants, opset=13, domains=["com.microsoft"]
        )
        return qdq, int8(model), int8(qdq)


def conv(p: Pair) -> str:
    scales = [0.004, 0.005, 0.006]
    names, w = p.weights((3, 4, 3, 3), scales)
    b = p.bias(scales)
    p.add("QLinearConv", ["x_codes", "x_s", "x_z", *names, *p.scale("y", *Y), "b"], pads=[1] * 4)
    p.nodes[-1].domain = ""
    return p.qdq.float("Conv", p.real, w, b, pads=[1] * 4)


def matmul(p: Pair) -> str:
    names, w = p.weights((6, 5), [0.01, 0.02, 0.03, 0.04, 0.05], axis=1)
    p.add("QLinearMatMul", ["x_codes", "x_s", "x_z", *names, *p.scale("y", *Y)])
    p.nodes[-1].domain = ""
    return p.qdq.float("MatMul", p.real, w)


def gemm(p: Pair) -> str:
    p.nodes.append(node("Flatten", ["x_codes"], ["flat"]))
    names, w = p.weights((5, 192), 0.004)
    b = p.bias([0.004] * 5)
    p.add("QGemm", ["flat", "x_s", "x_z", *names, "b", *p.scale("y", *Y)], transB=1)
    return p.qdq.float("Gemm", p.qdq.float("Flatten", p.real), w, b, transB=1)


def pair_of(op: str, own: str) -> Any:
    def make(p: Pair) -> str:
        operands = ["x_codes", "x_s", "x_z"] * 2
        p.add(op, [*operands, *p.scale("y", *Y)])
        return p.qdq.float(own, p.real, p.real)

    return make


def unary(op: str, own: str, **attributes: Any) -> Any:
    def make(p: Pair) -> str:
        more = {"opset": 13} if own == "Softmax" else {}
        p.add(op, ["x_codes", "x_s", "x_z", *p.scale("y", *Y)], **attributes, **more)
        return p.qdq.float(own, p.real, **attributes)

    return make


def concat(p: Pair) -> str:
    p.nodes.append(node("MaxPool", ["x_codes"], ["pooled"], kernel_shape=[1, 1]))
    operands = ["x_codes", "x_s", "x_z", "pooled", "x_s", "x_z"]
    p.add("QLinearConcat", [*p.scale("y", *Y), *operands], axis=1)
    return p.qdq.float("Concat", p.real, p.real, axis=1)


CASES = {
    "convolution": conv,
    "product": matmul,
    "Gemm": gemm,
    "sum": pair_of("QLinearAdd", "Add"),
    "product of activations": pair_of("QLinearMul", "Mul"),
    "concatenation": concat,
    "sigmoid": unary("QLinearSigmoid", "Sigmoid"),
    "leaky": unary("QLinearLeakyRelu", "LeakyRelu", alpha=0.2),
    "softmax": unary("QLinearSoftmax", "Softmax", axis=1),
    "average": unary("QLinearAveragePool", "AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "global average": unary("QLinearGlobalAveragePool", "GlobalAveragePool"),
    "mean": unary("QLinearReduceMean", "ReduceMean", axes=[2, 3], keepdims=0),
}


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_operator(case: str, unsigned: bool) -> None:
    p = Pair(unsigned=unsigned)
    _, graph, wanted = p.graphs(CASES[case](p))
    assert [n.op for n in graph.nodes if n.op != "max_pool2d"] == [n.op for n in wanted.nodes]
    given = [filter(None, g.nodes[-1].inputs) for g in (graph, wanted)]
    for have, want in zip(*given, strict=True):
        assert graph.tensors[have].quant == wanted.tensors[want].quant
        np.testing.assert_array_equal(graph.tensors[have].data, wanted.tensors[want].data)
    assert graph.tensors[graph.outputs[0]].quant == wanted.tensors[wanted.outputs[0]].quant


def test_convolution_means_what_onnx_says() -> None:
    p = Pair()
    qdq, graph, _ = p.graphs(conv(p))
    assert_near_reference(graph, qdq)
    assert_runners_agree(graph)


def test_codes_are_resized_and_split() -> None:
    constants = {
        "s": np.float32(0.05), "z": np.uint8(131), "sizes": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["codes"]),
        node("QLinearSigmoid", ["codes", "s", "z", "s", "z"], ["a"], domain="com.microsoft"),
        node(
            "Resize", ["a", "", "sizes"], ["b"],
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
        node("Split", ["b"], ["c", "d"], axis=1),
        node("QLinearAdd", ["c", "s", "z", "d", "s", "z", "s", "z"], ["e"], domain="com.microsoft"),
        node("DequantizeLinear", ["e", "s", "z"], ["y"]),
    ]  # fmt: skip
    model = model_of(nodes, {"x": (1, 4, 3, 3)}, constants, opset=13, domains=["com.microsoft"])
    assert counts(int8(model)) == {
        "sigmoid": 1, "requantize": 1, "resize_nearest": 1, "split": 1, "add": 1,
    }  # fmt: skip


def test_refuses_codes_that_are_read_at_another_scale_after_a_move() -> None:
    constants = {"s": np.float32(0.05), "t": np.float32(0.06), "z": np.uint8(131)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["codes"]),
        node("MaxPool", ["codes"], ["pooled"], kernel_shape=[2, 2]),
        node("DequantizeLinear", ["pooled", "t", "z"], ["y"]),
    ]
    with pytest.raises(UnsupportedError, match="differs from the QuantizeLinear"):
        read(model_of(nodes, {"x": (1, 4, 4, 4)}, constants, opset=13))


def test_refuses_nhwc_operators_by_name() -> None:
    constants = {"s": np.float32(0.05), "z": np.uint8(131)}
    pool = node(
        "QLinearGlobalAveragePool", ["codes", "s", "z", "s", "z"], ["y"],
        domain="com.microsoft", channels_last=1,
    )  # fmt: skip
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["codes"]), pool]
    model = model_of(nodes, {"x": (1, 4, 4, 4)}, constants, opset=13, domains=["com.microsoft"])
    with pytest.raises(UnsupportedError, match=r"com\.microsoft\.QLinearGlobalAveragePool at 'y'"):
        read(model)
