from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array
from firmware_export.linear import fit
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import ACTIVATIONS, Case, Rng, draw, draw_zero_point, random_cases
from tests.ops.test_add import CASES, PAIR_SCALES, Quant, add, add_constant, all_pairs, random_add

STEM = "add_linear"


def _off_halves(cases: Sequence[Case]) -> list[Case]:
    """Cases with an output scale whose outputs are not exactly halfway, as many as theirs are."""
    return [dataclasses.replace(case, output=(0.0613, 1)) for case in cases]


def ordinary_add(rng: Rng, name: str) -> Case:
    """Equal shapes, with scales as networks have them."""
    size = int(rng.integers(1, 70))
    first, second = (float(np.float32(s)) for s in rng.uniform(0.01, 0.1, 2))
    output = max(first, second) * float(rng.uniform(0.5, 2.5))
    a, b, c = ((s, draw_zero_point(rng)) for s in (first, second, output))
    shape = (1, size)
    return add(name, shape, shape, scales=(a, b, c), activation=draw(rng, ACTIVATIONS))


def check_pairs(cases: list[Case], directory: Path) -> None:
    """Cases of all 65,536 pairs."""
    feeds: dict[str, Array] = {}
    for case in cases:
        feeds[f"{case.name}/0"], feeds[f"{case.name}/1"] = all_pairs()
    check_kernel(STEM, cases, directory, feeds=feeds)


def all_pairs_case(name: str, scales: tuple[Quant, Quant, Quant], activation: str = "none") -> Case:
    return add(name, (1, 65536), (1, 65536), scales=scales, activation=activation)


def test_cases(tmp_path: Path) -> None:
    cases = taken(STEM, _off_halves(CASES))
    names = {case.name for case in cases}
    assert {"same-shape", "one-value", "fused-relu6", "constant-of-full-shape"} <= names
    assert "channel" not in names
    check_kernel(STEM, cases, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    cases = taken(STEM, [all_pairs_case(name, s) for name, s in PAIR_SCALES.items()])
    assert {"equal", "typical"} <= {case.name for case in cases}
    cases += [all_pairs_case(a, PAIR_SCALES["typical"], a) for a in ACTIVATIONS]
    check_pairs(cases, tmp_path)


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(ordinary_add, 48, seed))
    assert len(cases) > 40
    check_kernel(STEM, cases, tmp_path)


def test_random_scales_far_apart(tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_add, 48, 13))
    assert len(cases) > 8
    check_kernel(STEM, cases, tmp_path)


def test_constant_operands(tmp_path: Path) -> None:
    data = np.arange(-18, 18).reshape(1, 3, 3, 4)
    cases = [add_constant(str(i), (1, 3, 3, 4), data, first=i == 0) for i in (0, 1)]
    check_kernel(STEM, _off_halves(cases), tmp_path)


def test_numbers_are_exact_or_none() -> None:
    """A line for outputs that are one; none where a single output is off."""
    values = np.arange(-128, 128)
    outputs = np.clip((3 * values[:, None] + 5 * values[None, :] + 4) >> 3, -128, 127)
    slopes = (3 / 8, 5 / 8)
    assert fit(outputs, slopes, (0, 0, 0)) is not None
    outputs[130, 128] += 1
    assert fit(outputs, slopes, (0, 0, 0)) is None


def test_common_scales_share_code() -> None:
    cases = [ordinary_add(np.random.default_rng(seed), "case") for seed in range(12)]
    layers = [layer for case in cases if (layer := layer_of(STEM, case)) is not None]
    assert len({layer.shape["shift"] for layer in layers}) < 3
