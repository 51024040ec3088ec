from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fast.kernel_table import check_kernel, taken
from tests.ops.binary_cases import BYTES, PAIR_SCALES
from tests.ops.case_table import ACTIVATIONS, Case, Rng, draw, draw_zero_point, random_cases
from tests.ops.test_sub import sub

STEM = "sub_linear"


def ordinary_sub(rng: Rng, name: str) -> Case:
    """Equal shapes, with scales as networks have them."""
    shape = (1, int(rng.integers(1, 70)))
    first, second = (float(np.float32(s)) for s in rng.uniform(0.01, 0.1, 2))
    output = max(first, second) * float(rng.uniform(0.5, 2.5))
    a, b, c = ((s, draw_zero_point(rng)) for s in (first, second, output))
    return sub(name, shape, shape, (a, b, c), draw(rng, ACTIVATIONS))


def test_every_pair(tmp_path: Path) -> None:
    shape = (1, 65536)
    cases = taken(STEM, [sub(name, shape, shape, s) for name, s in PAIR_SCALES.items()])
    assert "one-sided" in {case.name for case in cases}
    first, second = (g.astype(np.int8).reshape(1, 1, -1) for g in np.meshgrid(BYTES, BYTES))
    feeds = {f"{case.name}/{i}": (first, second)[i] for case in cases for i in (0, 1)}
    check_kernel(STEM, cases, tmp_path, feeds=feeds)


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(ordinary_sub, 48, seed))
    assert len(cases) > 40
    check_kernel(STEM, cases, tmp_path)


def test_leaves_broadcasting() -> None:
    scales = PAIR_SCALES["one-sided"]
    assert not taken(STEM, [sub("channel", (1, 3, 4, 2), (1, 1, 1, 2), scales)])
