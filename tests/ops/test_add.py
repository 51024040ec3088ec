from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.ops.add import AddAttributes
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    Value,
    check,
    draw,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
)

Quant = tuple[float, int]


def add(
    name: str,
    a: tuple[int, ...],
    b: tuple[int, ...],
    *,
    scales: tuple[Quant, Quant, Quant] = ((0.05, 3), (0.03, -20), (0.06, 1)),
    activation: str = "none",
) -> Case:
    """A sum of two fed operands."""
    inputs = [Value(a, *scales[0]), Value(b, *scales[1])]
    return Case(name, "add", inputs, AddAttributes(activation), scales[2])


def add_constant(name: str, shape: tuple[int, ...], data: Array, *, first: bool) -> Case:
    """A sum of a fed operand and a constant one."""
    constant, x = Constant(data.astype(np.int8), (0.02,), 5), Value(shape, 0.05, 3)
    return Case(name, "add", [constant, x] if first else [x, constant], AddAttributes(), (0.06, 1))


CASES = [
    add("same-shape", (1, 3, 4, 2), (1, 3, 4, 2)),
    add("rank-5", (1, 2, 2, 3, 2), (1, 2, 2, 3, 2)),
    add("channel", (1, 3, 4, 2), (1, 1, 1, 2)),
    add("channel-first", (1, 1, 1, 2), (1, 3, 4, 2)),
    add("scalar", (1, 3, 4, 2), (1,)),
    add("rows-and-columns", (1, 3, 1, 2), (1, 1, 4, 1)),
    add("lower-rank", (1, 3, 4, 2), (4, 2)),
    add("one-value", (1, 1), (1, 1)),
    *(add(f"fused-{a}", (1, 300), (1, 300), activation=a) for a in ACTIVATIONS),
    add_constant("constant-second", (1, 3, 3, 4), np.arange(4), first=False),
    add_constant("constant-first", (1, 3, 3, 4), np.arange(4), first=True),
    add_constant("constant-of-full-shape", (1, 3, 4), np.arange(12).reshape(1, 3, 4), first=False),
]

PAIR_SCALES: dict[str, tuple[Quant, Quant, Quant]] = {
    "equal": ((0.05, 0), (0.05, 0), (0.1, 0)),
    "typical": ((0.0237, -128), (0.0411, 17), (0.0529, -128)),
    "far-apart": ((1e-4, 5), (0.9, -5), (1.0, 0)),
    "saturating": ((0.3, 127), (0.2, -128), (0.01, 0)),
    "vanishing": ((0.01, 127), (0.02, -128), (7.0, 127)),
}


def all_pairs() -> tuple[Array, Array]:
    """The 65,536 pairs of bytes, as two operands of shape (1, 1, 65536)."""
    grid = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    first, second = (g.astype(np.int8).reshape(1, 1, 65536) for g in grid)
    return first, second


def check_all_pairs(scales: dict[str, tuple[Quant, Quant, Quant]], directory: Path) -> None:
    cases = [add(name, (1, 65536), (1, 65536), scales=s) for name, s in scales.items()]
    first, second = all_pairs()
    feeds = {f"{case.name}/{i}": (first, second)[i] for case in cases for i in (0, 1)}
    check(cases, directory, feeds=feeds)


def random_add(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 7, 3)))
    other = tuple(n if rng.random() < 0.7 else 1 for n in shape)
    shapes = draw(rng, ((shape, shape), (shape, other), (other, shape)))
    first = draw_scale(rng)
    ratio = 2.0 ** rng.uniform(-20, 20) if rng.random() < 0.2 else rng.uniform(0.3, 3)
    second = first * float(ratio)
    far = 2.0 ** rng.uniform(-15, 20) if rng.random() < 0.2 else rng.uniform(0.5, 3)
    outer = max(first, second) * float(far)
    a, b, c = ((scale, draw_zero_point(rng)) for scale in (first, second, outer))
    return add(name, *shapes, scales=(a, b, c), activation=draw(rng, ACTIVATIONS))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    check_all_pairs(PAIR_SCALES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_add, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_add, 48, seed), tmp_path, seed=seed)


@pytest.mark.slow
def test_every_pair_at_random_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scales = {
        f"scales{i}": tuple((float(rng.uniform(0.01, 0.1)), draw_zero_point(rng)) for _ in range(3))
        for i in range(20)
    }
    check_all_pairs(scales, tmp_path)  # type: ignore[arg-type]


def test_refuses_two_constants() -> None:
    constant = Constant(np.zeros((1, 2), np.int8), (0.1,))
    case = Case("both", "add", [constant, constant], AddAttributes(), (0.1, 0))
    assert "constants" in (problem(case) or "")


def test_refuses_an_output_scale_that_cannot_be_reached() -> None:
    case = add("tiny", (1, 2), (1, 2), scales=((1.0, 0), (1.0, 0), (1e-7, 0)))
    assert "output scale" in (problem(case) or "")
