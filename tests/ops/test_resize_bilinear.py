from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.resize_bilinear import ResizeBilinearAttributes
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    check,
    draw,
    draw_image,
    problem,
    random_cases,
)

#: Corners aligned, pixels centred.
FLAGS = {"plain": (False, False), "corners": (True, False), "centres": (False, True)}


def resize(
    name: str, image: tuple[int, int, int], size: tuple[int, int], flags: tuple[bool, bool]
) -> Case:
    """An image of (height, width, channels) in another size."""
    attributes = ResizeBilinearAttributes(size, *flags)
    return Case(name, "resize_bilinear", [Value((1, *image), 0.1, 5)], attributes)


SIZES = {
    "twice": ((3, 4, 3), (6, 8)),
    "thrice": ((3, 2, 1), (9, 6)),
    "half": ((6, 8, 2), (3, 4)),
    "uneven": ((5, 7, 2), (8, 3)),
    "same": ((4, 3, 2), (4, 3)),
    "from-one-pixel": ((1, 1, 3), (3, 4)),
    "to-one-pixel": ((5, 4, 3), (1, 1)),
    "one-row": ((1, 9, 2), (1, 21)),
    "large": ((7, 11, 2), (50, 31)),
}

CASES = [
    resize(f"{name}-{way}", image, size, flags)
    for name, (image, size) in SIZES.items()
    for way, flags in FLAGS.items()
]


def random_case(rng: Rng, name: str) -> Case:
    x = draw_image(rng, int(rng.integers(1, 5)), 1, 12)
    size = (int(rng.integers(1, 25)), int(rng.integers(1, 25)))
    return Case(
        name, "resize_bilinear", [x], ResizeBilinearAttributes(size, *draw(rng, FLAGS.values()))
    )


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)


def test_refuses_both_conventions_at_once() -> None:
    assert "at once" in (problem(resize("x", (3, 3, 1), (6, 6), (True, True))) or "")


def test_refuses_steps_that_run_over_the_end() -> None:
    case = resize("wide", (1, 4, 1), (1, 2049), (True, False))
    assert "over the end" in (problem(case) or "")
