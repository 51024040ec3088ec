"""Elementwise ONNX operators against ONNX's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.onnx_file import load
from edgecnn.ir import Array
from edgecnn.passes import pipeline
from edgecnn.simulator import run_float

SHAPE = (1, 3, 4, 5)
VALUES: Array = np.random.default_rng(1).normal(0, 2, SHAPE).astype(np.float32)
POSITIVE: Array = np.abs(VALUES) + np.float32(0.1)

#: Operators of one input: their attributes, and whether the input must be positive.
UNARY: list[tuple[str, dict[str, Any], bool]] = [
    *((op, {}, False) for op in (
        "Sigmoid", "Tanh", "HardSwish", "Mish", "Softplus", "Softsign", "Elu", "Selu", "Celu",
        "HardSigmoid", "LeakyRelu", "Gelu", "Neg", "Abs", "Exp", "Sin", "Cos", "Floor", "Ceil",
        "Round", "Sign", "Erf", "ThresholdedRelu", "Shrink", "LogSoftmax", "LpNormalization",
    )),
    *((op, {}, True) for op in ("Sqrt", "Log", "Reciprocal")),
    ("Elu", {"alpha": 0.4}, False),
    ("Selu", {"alpha": 1.5, "gamma": 1.1}, False),
    ("Celu", {"alpha": 2.0}, False),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, False),
    ("LeakyRelu", {"alpha": 0.3}, False),
    ("LeakyRelu", {"alpha": -0.3}, False),
    ("Gelu", {"approximate": "tanh"}, False),
    ("ThresholdedRelu", {"alpha": 0.2}, False),
    ("Shrink", {"lambd": 0.7, "bias": 0.7}, False),
    ("LogSoftmax", {"axis": 1}, False),
    ("LpNormalization", {"axis": 1, "p": 2}, False),
    ("ArgMax", {"axis": 1, "keepdims": 0}, False),
]  # fmt: skip


def model(
    op: str, constants: dict[int, Array], inputs: int = 1, outputs: int = TensorProto.FLOAT,
    **attributes: Any,
) -> bytes:  # fmt: skip
    """One node; ``constants`` are inputs by their position, the others are fed."""
    fed = [f"x{i}" for i in range(inputs)]
    free = iter(fed)
    total = inputs + len(constants)
    names = [f"c{i}" if i in constants else next(free) for i in range(total)]
    node = helper.make_node(op, names, ["y"], **attributes)
    graph = helper.make_graph(
        [node], "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in fed],
        [helper.make_tensor_value_info("y", outputs, None)],
        [numpy_helper.from_array(c, f"c{i}") for i, c in constants.items()],
    )  # fmt: skip
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    ).SerializeToString()


def check(data: bytes, inputs: list[Array]) -> None:
    """What the reference computes, before and after the passes."""
    (wanted,) = ReferenceEvaluator(onnx.load_from_string(data)).run(
        None, {f"x{i}": x for i, x in enumerate(inputs)}
    )
    for graph in (before := load(data, "net"), pipeline.run(before)):
        feeds = {
            name: x.transpose(graph.input_permutations.get(name, range(4)))[None]
            for name, x in zip(graph.inputs, inputs, strict=True)
        }
        (output,) = graph.outputs
        got = run_float(graph, feeds)[output][0]
        order = graph.output_permutations.get(output, tuple(range(got.ndim)))
        np.testing.assert_allclose(got.transpose(order), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("op", "attributes", "positive"), UNARY)
def test_unary(op: str, attributes: dict[str, Any], positive: bool) -> None:
    kind = TensorProto.INT64 if op == "ArgMax" else TensorProto.FLOAT
    check(model(op, {}, outputs=kind, **attributes), [POSITIVE if positive else VALUES])


CHANNEL = np.array([0.5, -1.0, 2.0], np.float32).reshape(3, 1, 1)
NUMBER = np.float32(1.5)


@pytest.mark.parametrize("op", ["Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("constant", [CHANNEL, CHANNEL[None], NUMBER, NUMBER.reshape(1), VALUES])
def test_with_a_constant(op: str, constant: Array) -> None:
    check(model(op, {1: np.asarray(constant)}), [VALUES])
    if op != "Div":
        check(model(op, {0: np.asarray(constant)}), [VALUES])


@pytest.mark.parametrize("op", ["Sub", "Mul", "Div", "Min", "Max"])
def test_of_two_tensors(op: str) -> None:
    check(model(op, {}, 2), [VALUES, POSITIVE])


@pytest.mark.parametrize("op", ["Min", "Max"])
def test_of_three_tensors(op: str) -> None:
    check(model(op, {}, 3), [VALUES, POSITIVE, VALUES[:, :, ::-1].copy()])


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, 1.0, -1.0, -0.5, 1.5])
def test_powers(exponent: float) -> None:
    check(model("Pow", {1: np.float32(exponent).reshape(())}), [POSITIVE])


def test_a_power_of_a_number() -> None:
    check(model("Pow", {0: np.float32(1.3).reshape(())}), [VALUES])


@pytest.mark.parametrize("slope", [CHANNEL, np.float32([0.2]), np.float32([-0.2])])
def test_prelu(slope: Array) -> None:
    check(model("PRelu", {1: slope}), [VALUES])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (model("Pow", {}, 2), "its exponent is computed"),
        (model("Shrink", {}, bias=0.1), "its bias is 0.1"),
        (model("LpNormalization", {}, p=1), "its p is 1"),
        (model("PRelu", {}, 2), "slope is computed"),
        (model("ArgMax", {}, outputs=TensorProto.INT64, axis=1), "keeps its axis"),
    ],
    ids=["power", "shrink", "norm", "slope", "argmax"],
)
def test_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load(data, "net")
