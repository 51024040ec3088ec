"""Sigmoid and tanh of every int16 value, at scales about powers of two and at the ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.fixedpoint import dequantize_exactly
from edgecnn.parity import Artifact, random_feeds, verify
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import Case, write_c
from tests.wide.wide_table import (
    RUNNERS,
    WideValue,
    build,
    check_on_tflite,
    layers_alone,
    problem,
)

SCALES = {
    "usual": 3e-4,
    "power": 2.0**-12,
    "twice": 2.0**-11,
    "four-times": 2.0**-10,
    "near-power": 2.0**-12 * 1.0005,
    "near-twice": 2.0**-11 * 0.9995,
    "beside-power": 2.0**-12 * 1.0008,
    "tiny": 1e-12,
    "largest": 2.66,
    "half-of-largest": 1.333,
}


def curve(op: str, name: str, scale: float, size: int = 65536) -> Case:
    value = WideValue((1, size), scale)
    return Case(name, op, [value], output=(2.0**-15, 0))  # type: ignore[list-item]


@pytest.mark.parametrize("op", ["sigmoid", pytest.param("tanh", marks=pytest.mark.slow)])
def test_every_value(op: str, tmp_path: Path) -> None:
    cases = [curve(op, name, scale) for name, scale in SCALES.items()]
    graph = build(cases)
    write_c(graph, tmp_path)
    codes = np.arange(-32768, 32768)
    parts = {"high": codes >> 8, "low": (codes & 255) - 128}
    feeds = {
        name: parts[name.rsplit("/", 1)[1]].astype(np.int8).reshape(1, 1, -1)
        for name in random_feeds(graph, 0, 0, extremes=False)
    }
    values = run_int(graph, feeds)
    for name in SCALES:
        np.testing.assert_array_equal(values[f"{name}/0"].ravel(), codes)
    report = verify(Artifact(graph, to_tflite(graph), "net", tmp_path), RUNNERS, feeds)
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
    assert all(runner.available for runner in report.runners)
    check_on_tflite(layers_alone(graph, cases), values)


@pytest.mark.parametrize(
    ("op", "function"), [("tanh", np.tanh), ("sigmoid", lambda x: 1 / (1 + np.exp(-x)))]
)
def test_values_are_near_the_function(op: str, function: np.ufunc) -> None:
    graph = build([curve(op, "y", 3e-4, 1000)])
    values = run_int(graph, random_feeds(graph, 5, 0))
    exact = function(dequantize_exactly(values["y/0"], 3e-4, 0))
    assert np.abs(values["y"] * 2.0**-15 - exact).max() < 2e-4


@pytest.mark.parametrize("op", ["sigmoid", "tanh"])
def test_refuses_scales_that_have_no_multiplier(op: str) -> None:
    assert "input scale is over" in (problem(curve(op, "y", 2.67, 4)) or "")
    other = Case("y", op, [WideValue((1, 4), 0.01)], output=(1 / 128, 0))  # type: ignore[list-item]
    assert "output scale" in (problem(other) or "")
