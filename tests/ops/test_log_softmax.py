from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from edgecnn.fixedpoint import log_from_one
from edgecnn.frontends.tflite import load
from firmware_export.tflite_writer import to_tflite
from tests.frontends.torch_modules import conv
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    all_bytes,
    build,
    check,
    draw_scale,
    problem,
    random_cases,
)
from tests.torch_helpers import check_module, counts

OUTPUT = (16 / 256, 127)


def log_softmax(
    name: str, shape: tuple[int, ...], scale: float, zero_point: int = 0, output: object = OUTPUT
) -> Case:
    return Case(name, "log_softmax", [Value(shape, scale, zero_point)], output=output)  # type: ignore[arg-type]


CASES = [
    log_softmax("typical", (1, 10), 0.1, 3),
    log_softmax("rows", (1, 4, 7, 3), 0.05),
    log_softmax("one", (1, 1), 0.1),
    log_softmax("two", (1, 2), 0.5),
    log_softmax("many", (1, 1000), 0.05),
    log_softmax("all-it-can", (1, 4095), 0.001),
    log_softmax("fine", (1, 20), 1e-5),
    log_softmax("coarse", (1, 20), 3.0),
    log_softmax("vast", (1, 20), 1e5),
    log_softmax("power-of-two", (1, 20), 1 / 16),
]


def random_log_softmax(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 9, int(rng.integers(0, 3)))))
    depth = int(2 ** rng.uniform(0, 9))
    return log_softmax(name, (*shape, depth), draw_scale(rng, -12, 5), int(rng.integers(-128, 128)))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path, samples=20)


def test_every_difference(tmp_path: Path) -> None:
    """All 256 bytes beside each largest value: rows of two."""
    grid = np.stack(np.meshgrid(all_bytes().reshape(-1), all_bytes().reshape(-1)), axis=-1)
    scales = (0.003, 0.02, 0.0625, 0.11, 0.7)
    cases = [log_softmax(f"scale{s}", (1, 65536, 2), s) for s in scales]
    check(cases, tmp_path, feeds={f"{c.name}/0": grid.reshape(1, 1, 65536, 2) for c in cases})


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_log_softmax, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_log_softmax, 60, seed), tmp_path, seed=seed)


def test_the_logarithm_is_accurate() -> None:
    x = np.geomspace(1, 4000, 5000)
    got = log_from_one((x * 2**19).astype(np.int64), 12) / 2**26
    np.testing.assert_allclose(got, np.log(x), atol=2e-6)


def test_is_read_back() -> None:
    graph = build(CASES)
    assert load(to_tflite(graph), "net").nodes == graph.nodes


def test_from_torch_over_channels() -> None:
    graph = check_module(nn.Sequential(conv(3, 4), nn.LogSoftmax(1)), (1, 3, 9, 7))
    assert counts(graph)["transpose"] == 0


def test_refuses() -> None:
    assert "4096 values" in (problem(log_softmax("y", (1, 4096), 0.1)) or "")
    assert "2**-26" in (problem(log_softmax("y", (1, 4), 1e-9)) or "")
    assert "1/16" in (problem(log_softmax("y", (1, 4), 0.1, 0, (0.1, 0))) or "")
