from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from firmware_export.exporters import Distance
from firmware_export.fast.depthwise_conv2d_planar import (
    MAX_PLANES_BYTES,
    MAX_SMALL_BYTES,
    SMALL,
    pack,
)
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import ACTIVATIONS, Case, Constant, Rng, draw, random_cases
from tests.ops.test_depthwise_conv2d import CASES, depthwise, random_depthwise

KERNEL = "depthwise_conv2d_planar"
ALL_AROUND = (1, 1, 1, 1)


def extreme(name: str, weight: int, zero_point: int, output: int, stride: int) -> Case:
    """A layer whose weights, zero points and inputs are at the ends of int8."""
    case = depthwise(
        name, (6, 7, 5), (3, 3),
        zero_point=zero_point, stride=(stride, stride), padding=ALL_AROUND,
    )  # fmt: skip
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    same = dataclasses.replace(weights, data=np.full_like(weights.data, weight))
    scale = 0.03 * max(weights.scale) * 9 * 128
    return dataclasses.replace(case, inputs=[x, same, bias], output=(scale, output))


OWN = [
    depthwise("pairs-of-rows", (6, 6, 4), (3, 3), padding=ALL_AROUND),
    depthwise("odd-both", (3, 3, 8), (3, 3), padding=ALL_AROUND),
    depthwise("transposed", (25, 5, 4), (3, 3), padding=ALL_AROUND),
    depthwise("one-channel", (9, 8, 1), (3, 3), padding=ALL_AROUND),
    depthwise("two-channels", (9, 8, 2), (3, 3), padding=ALL_AROUND),
    depthwise("channels-left-over", (5, 5, 11), (3, 3), padding=ALL_AROUND),
    depthwise("strips", (24, 24, 5), (3, 3), padding=ALL_AROUND),
    depthwise("strips-with-stride", (33, 40, 4), (3, 3), stride=(2, 2), padding=(0, 1, 0, 1)),
    depthwise("one-row-does-not-fit", (3, 160, 4), (3, 3), padding=ALL_AROUND),
    depthwise("five", (9, 10, 6), (5, 5), padding=(2, 2, 2, 2)),
    depthwise("five-with-stride", (9, 11, 4), (5, 5), stride=(2, 2), padding=(1, 2, 1, 2)),
    depthwise("four-by-four", (9, 9, 4), (4, 4), padding=(1, 2, 1, 2)),
    depthwise("n-by-one", (20, 3, 4), (5, 1), padding=(2, 2, 0, 0)),
    depthwise("one-by-n", (3, 20, 4), (1, 6), padding=(0, 0, 2, 3)),
    depthwise("stride-of-three", (13, 14, 4), (3, 3), stride=(3, 3), padding=ALL_AROUND),
    depthwise("pad-of-three", (7, 7, 3), (4, 4), padding=(3, 3, 3, 3)),
    depthwise("multiplied", (8, 8, 3), (3, 3), 3, padding=ALL_AROUND),
    *(depthwise(f"fused-{a}", (5, 6, 4), (3, 3), activation=a) for a in ACTIVATIONS),
]

EXTREME = [
    extreme(f"w{weight}-z{zero_point}-o{output}", weight, zero_point, output, stride)
    for weight in (-128, 127)
    for zero_point in (-128, 127)
    for output, stride in ((-128, 1), (127, 2), (0, 1))
]


def random_planar(rng: Rng, name: str) -> Case:
    """The windows that networks have, on images larger than those."""
    size = draw(rng, ((3, 3), (3, 3), (5, 5), (3, 1), (1, 3), (1, 7), (2, 2), (7, 7)))
    image = (int(rng.integers(7, 14)), int(rng.integers(7, 14)), int(rng.integers(1, 8)))
    padding = tuple(int(n) for n in rng.integers(0, 3, 4))
    stride = draw(rng, ((1, 1), (1, 1), (2, 2), (2, 1), (1, 3)))
    return depthwise(
        name,
        image,
        size,
        draw(rng, (1, 1, 2)),
        padding=padding,
        stride=stride,
        zero_point=int(rng.integers(-128, 128)),
        activation=draw(rng, ACTIVATIONS),
    )


def renamed(cases: list[Case]) -> list[Case]:
    """Cases of several tables, with names of their own."""
    return [dataclasses.replace(case, name=f"case{i}") for i, case in enumerate(cases)]


def test_cases(tmp_path: Path) -> None:
    cases = taken(KERNEL, CASES)
    assert len(cases) == len(CASES) - 1  # the dilated one
    check_kernel(KERNEL, cases, tmp_path)


def test_own_cases(tmp_path: Path) -> None:
    check_kernel(KERNEL, OWN, tmp_path)


def test_extremes(tmp_path: Path) -> None:
    check_kernel(KERNEL, EXTREME, tmp_path)


@pytest.mark.parametrize("seed", [11])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_depthwise, 80, seed))
    assert len(cases) > 15
    check_kernel(KERNEL, cases, tmp_path)


@pytest.mark.parametrize("seed", [21])
def test_random_windows(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_planar, 36, seed))
    assert len(cases) > 30
    check_kernel(KERNEL, cases, tmp_path)


@pytest.mark.parametrize("seed", [22])
def test_small_planes(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL + SMALL, [*OWN, *random_cases(random_planar, 24, seed)])
    assert len(cases) > 15
    check_kernel(KERNEL + SMALL, cases, tmp_path)


def test_small_planes_take_less() -> None:
    """The fewest bytes for wide images, up to the limit for others."""
    for name, image in (("keywords", (25, 5, 64)), ("wide", (48, 48, 8))):
        case = depthwise(name, image, (3, 3), padding=ALL_AROUND)
        large, small = (layer_of(KERNEL + suffix, case) for suffix in ("", SMALL))
        assert large is not None
        assert small is not None
        assert small.scratch_bytes == {"keywords": MAX_SMALL_BYTES, "wide": 1600}[name]
        assert small.scratch_bytes < large.scratch_bytes


def test_layers_lie_over_their_inputs() -> None:
    """Pixel over pixel; a single group of channels further above its input."""
    exact = {0: Distance(0, is_exact=True)}
    for suffix in ("", SMALL):
        for stride in ((1, 1), (2, 2)):
            case = depthwise("over", (24, 24, 12), (3, 3), stride=stride, padding=ALL_AROUND)
            layer = layer_of(KERNEL + suffix, case)
            assert layer is not None
            assert layer.overlaps == exact
    layer = layer_of(KERNEL, depthwise("one-group", (6, 6, 4), (3, 3), padding=ALL_AROUND))
    assert layer is not None
    assert layer.overlaps == {0: Distance(-6 * 6 * 4)}
    layer = layer_of(KERNEL, depthwise("multiplied", (8, 8, 8), (3, 3), 2, padding=ALL_AROUND))
    assert layer is not None
    assert layer.overlaps == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30, 36))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_kernel(KERNEL, taken(KERNEL, random_cases(random_planar, 36, seed)), tmp_path)
    other = taken(KERNEL, random_cases(random_depthwise, 48, seed))
    check_kernel(KERNEL, other, tmp_path)
    small = taken(KERNEL + SMALL, [*random_cases(random_planar, 36, seed), *other])
    check_kernel(KERNEL + SMALL, renamed(small), tmp_path)


def test_long_axis_becomes_the_columns() -> None:
    case = next(c for c in OWN if c.name == "transposed")
    layer = layer_of(KERNEL, case)
    assert layer is not None
    assert (layer.shape["output_rows"], layer.shape["output_columns"]) == (5, 25)


def test_planes_are_bounded() -> None:
    for name in ("strips", "strips-with-stride"):
        layer = layer_of(KERNEL, next(c for c in OWN if c.name == name))
        assert layer is not None
        assert layer.scratch_bytes <= MAX_PLANES_BYTES
        strip, rows = layer.shape["strip_rows"], layer.shape["output_rows"]
        assert isinstance(strip, int)
        assert isinstance(rows, int)
        assert strip < rows


def test_weights_are_pairs_for_both_columns() -> None:
    packed = pack(np.arange(1, 6, dtype=np.int8).reshape(1, 1, 5))
    assert packed.tolist() == [[[[1, 2, 2, 3], [3, 4, 4, 5]]]]
    assert pack(np.full((1, 1, 1), 7, np.int8)).tolist() == [[[[7, 0, 0, 0]]]]
