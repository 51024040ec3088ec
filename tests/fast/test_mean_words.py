from __future__ import annotations

from pathlib import Path

import pytest

from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import Case, Rng, draw_scale, draw_zero_point, random_cases
from tests.ops.test_mean import CASES, mean

STEM = "mean_words"


def mean_over_space(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 12, 2)), int(rng.integers(4, 40)))
    scale = draw_scale(rng)
    output = (scale * float(rng.uniform(0.3, 1.5)), draw_zero_point(rng))
    zero_point = draw_zero_point(rng)
    return mean(name, shape, (1, 2), zero_point=zero_point, scale=scale, output=output)


def test_cases(tmp_path: Path) -> None:
    cases = taken(STEM, CASES)
    names = {case.name for case in cases}
    assert {"axes-(1, 2)", "global-same-scale"} <= names
    assert not {"axes-(1,)", "axes-(1, 3)", "many-values"} & names
    check_kernel(STEM, cases, tmp_path)


def test_every_number_of_channels(tmp_path: Path) -> None:
    cases = [mean(f"channels{n}", (1, 3, 5, n), (1, 2)) for n in range(4, 30)]
    check_kernel(STEM, cases, tmp_path)


def test_as_many_values_as_fit(tmp_path: Path) -> None:
    ends = [
        mean(f"ends{a}{b}", (1, 15, 17, 8), (1, 2), zero_point=a, output=(0.05, b))
        for a in (-128, 127)
        for b in (-128, 127)
    ]
    check_kernel(STEM, ends, tmp_path)
    assert layer_of(STEM, mean("more", (1, 16, 16, 8), (1, 2))) is None


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(mean_over_space, 48, seed))
    assert len(cases) > 40
    check_kernel(STEM, cases, tmp_path)
