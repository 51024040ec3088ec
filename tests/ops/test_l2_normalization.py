from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know

from edgecnn.fixedpoint import inverse_square_root
from edgecnn.frontends.tflite import load
from edgecnn.frontends.torch_export import load_module
from edgecnn.passes import pipeline
from edgecnn.support import problems
from firmware_export.tflite_writer import to_tflite
from tests.frontends.torch_modules import Call, conv
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    all_bytes,
    build,
    check,
    draw_zero_point,
    problem,
    random_cases,
)
from tests.torch_helpers import check_module, counts, random_inputs


def normalization(
    name: str, shape: tuple[int, ...], zero_point: int = 0, output: tuple[float, int] = (1 / 128, 0)
) -> Case:
    return Case(name, "l2_normalization", [Value(shape, 0.05, zero_point)], output=output)


CASES = [
    normalization("vector", (1, 10), 3),
    normalization("image", (1, 3, 4, 5), -7),
    normalization("one-value", (1, 1)),
    normalization("rank-3", (1, 3, 7), 127),
    normalization("long", (1, 1000), -128),
    normalization("all-it-can", (1, 33025), 1),
]


def random_normalization(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 20, int(rng.integers(1, 4)))))
    return normalization(name, shape, draw_zero_point(rng))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


@pytest.mark.parametrize("zero_point", [-128, 0, 5])
def test_every_pair(zero_point: int, tmp_path: Path) -> None:
    """Rows of two: all 65,536."""
    grid = np.stack(np.meshgrid(all_bytes().reshape(-1), all_bytes().reshape(-1)), axis=-1)
    case = normalization("y", (1, 65536, 2), zero_point)
    check([case], tmp_path, feeds={"y/0": grid.reshape(1, 1, 65536, 2)})


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_normalization, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_normalization, 60, seed), tmp_path, seed=seed)


def test_the_inverse_root_is_accurate() -> None:
    x = np.unique(np.geomspace(2, 2**31 - 1, 5000).astype(np.int64))
    multiplier, shift = inverse_square_root(x)
    np.testing.assert_allclose(multiplier / 2.0**31 * 2.0**shift, x**-0.5, rtol=2e-3)


def test_is_read_back() -> None:
    graph = build(CASES)
    assert load(to_tflite(graph), "net").nodes == graph.nodes


def test_from_torch() -> None:
    graph = check_module(Call(lambda m, x: F.normalize(m.c(x)), c=conv(3, 4)), (1, 3, 9, 7))
    assert counts(graph) == {"conv2d": 1, "l2_normalization": 1}


def test_a_norm_alone_is_refused() -> None:
    module = Call(lambda m, x: torch.linalg.vector_norm(m.c(x), dim=1, keepdim=True), c=conv(3, 4))
    graph = pipeline.run(load_module(module.eval(), random_inputs([(1, 3, 9, 7)]), "net"))
    assert [p.operator for p in problems(graph)] == ["vector_norm"]


def test_refuses() -> None:
    assert "5 dimensions" in (problem(normalization("y", (1, 1, 1, 1, 4))) or "")
    assert "33026 values" in (problem(normalization("y", (1, 33026))) or "")
    assert "1/128" in (problem(normalization("y", (1, 4), 0, (0.1, 0))) or "")
