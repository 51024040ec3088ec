"""Cases of operators with one int8 input: all 256 bytes, at many scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.frontends.tflite import load
from edgecnn.ir import Attributes
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import Case, Rng, Value, all_bytes, build, check, draw_scale
from tests.ops.case_table import draw_zero_point as zero_point

Quant = tuple[float, int]


def unary(
    name: str, op: str, x: Quant, output: Quant | None, attributes: Attributes | None = None
) -> Case:
    """An operator on 256 bytes."""
    return Case(name, op, [Value((1, 256), *x)], attributes or Attributes(), output)


def check_all_bytes(cases: list[Case], directory: Path) -> None:
    """Every case, on every input byte, on every runner; and again as read back from the file."""
    feeds = {f"{case.name}/0": all_bytes() for case in cases}
    check(cases, directory, feeds=feeds)
    graph = build(cases)
    again = load(to_tflite(graph), "net")
    assert to_tflite(again) == to_tflite(load(to_tflite(again), "net"))
    expected, got = run_int(graph, feeds), run_int(again, feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def draw_quants(rng: Rng) -> tuple[Quant, Quant]:
    """Scales and zero points of an input and an output, near one another or far apart."""
    scale = draw_scale(rng)
    ratio = 2.0 ** rng.uniform(-12, 12) if rng.random() < 0.2 else rng.uniform(0.2, 3)
    return (scale, zero_point(rng)), (float(np.float32(scale * ratio)), zero_point(rng))


def largest_error(case: Case, function: Any) -> float:
    """Largest distance of the bytes to the function of what the inputs stand for, in steps.

    Outputs that leave the range of int8 are left out.
    """
    graph = build([case])
    x, y = graph.tensors[f"{case.name}/0"], graph.tensors[case.name]
    codes = all_bytes()
    got = run_int(graph, {x.name: codes})[y.name].astype(np.float64)
    real = x.scale * (codes.astype(np.float64) - x.zero_point)
    steps = function(real) / y.scale + y.zero_point
    return float(np.abs(got - steps)[(steps > -127.5) & (steps < 126.5)].max(initial=0))
