"""TFLite's elementwise operators of float networks, against the stock interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecnn.frontends.tflite import load
from edgecnn.simulator import run_float
from tests.frontends.tflite_models import ModelFile, by_litert

#: Among them are the halves, which round to even.
INPUTS = np.linspace(-4, 4, 33, dtype=np.float32).reshape(1, 33)
ANY_SIGN = (
    "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "NEG", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND",
    "SIGN", "SIN", "SQUARE",
)  # fmt: skip
POSITIVE = ("LOG", "RSQRT", "SQRT")


def check(file: ModelFile, x: int, y: int, inputs: np.ndarray) -> None:
    data = file.finish([x], [y])
    graph = load(data, "net")
    got = run_float(graph, {"x": inputs[None]})["y"][0]
    np.testing.assert_allclose(got, by_litert(data, inputs, optimized=True), rtol=1e-5, atol=1e-6)


def ends(file: ModelFile) -> tuple[int, int]:
    return file.tensor("x", INPUTS.shape, "float32"), file.tensor("y", INPUTS.shape, "float32")


@pytest.mark.parametrize("code", [*ANY_SIGN, *POSITIVE])
def test_functions(code: str) -> None:
    file = ModelFile()
    x, y = ends(file)
    file.operator(code, [x], [y])
    check(file, x, y, np.abs(INPUTS) + 0.5 if code in POSITIVE else INPUTS)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(approximate: bool) -> None:
    file = ModelFile()
    x, y = ends(file)
    file.operator("GELU", [x], [y], file.options("GeluOptions", approximate=approximate))
    check(file, x, y, INPUTS)


@pytest.mark.parametrize("divisor", [np.full((1,), 3), np.linspace(-5, -1, 33).reshape(1, 33)])
@pytest.mark.parametrize("activation", [0, 1])
def test_division_by_a_constant(divisor: Any, activation: int) -> None:
    file = ModelFile()
    x, y = ends(file)
    inputs = [x, file.constant("divisor", divisor, np.float32)]
    file.operator(
        "DIV", inputs, [y], file.options("DivOptions", fusedActivationFunction=activation)
    )
    check(file, x, y, INPUTS)
