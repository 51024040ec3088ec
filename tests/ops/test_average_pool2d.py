from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.windows import Window, same_padding
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Rng,
    Value,
    check,
    draw,
    draw_image,
    problem,
    random_cases,
)


def pool(
    name: str,
    image: tuple[int, int, int],
    size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    activation: str = "none",
    zero_point: int = 3,
    scale: float = 0.05,
) -> Case:
    """A pooling over (height, width, channels)."""
    attributes = AveragePool2DAttributes(size, stride, padding, activation)
    return Case(name, "average_pool2d", [Value((1, *image), scale, zero_point)], attributes)


CASES = [
    pool("halves", (8, 6, 3), (2, 2), (2, 2)),
    pool("leaves-a-rest", (7, 5, 3), (2, 2), (2, 2)),
    pool("overlaps", (7, 5, 3), (3, 3)),
    pool("same", (7, 5, 3), (3, 3), (1, 1), (1, 1, 1, 1)),
    pool("same-with-odd-row-at-the-end", (8, 8, 3), (3, 3), (2, 2), (0, 1, 0, 1)),
    pool("global", (9, 7, 5), (9, 7)),
    pool("one-by-n", (1, 20, 2), (1, 6), (1, 3)),
    pool("window-of-one", (4, 4, 2), (1, 1), (3, 2)),
    *(pool(f"fused-{a}", (4, 4, 3), (2, 2), (2, 2), activation=a) for a in ACTIVATIONS),
    # The bound over the scale is a half in float32, and a little less in double.
    pool("relu6-in-float32", (4, 4, 3), (2, 2), activation="relu6", scale=1.3333333730697632),
    pool(
        "relu1-in-float32", (4, 4, 3), (2, 2), activation="relu_n1_to_1", scale=0.6666666865348816
    ),
    pool("fused-with-zero-point-at-the-top", (4, 4, 3), (2, 2), activation="relu", zero_point=127),
]


def random_pool(rng: Rng, name: str) -> Case:
    x = draw_image(rng, int(rng.integers(1, 6)), high=12)
    height, width = x.shape[1:3]
    size = (int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1)))
    stride = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    same = same_padding((height, width), size, stride)
    padding = draw(rng, ((0, 0, 0, 0), same))
    if min(Window(size, stride, padding).output_size(height, width)) < 1:
        return random_pool(rng, name)
    attributes = AveragePool2DAttributes(size, stride, padding, draw(rng, ACTIVATIONS))
    return Case(name, "average_pool2d", [x], attributes)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_pool, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_pool, 48, seed), tmp_path, seed=seed)


def test_refuses_a_window_that_lies_in_the_padding() -> None:
    reason = problem(pool("outside", (4, 4, 1), (2, 2), (2, 2), (2, 2, 2, 2)))
    assert reason is not None
    assert "padding" in reason


def test_refuses_an_output_of_another_scale() -> None:
    case = Case(
        "rescaled",
        "average_pool2d",
        [Value((1, 4, 4, 1))],
        AveragePool2DAttributes((2, 2)),
        (0.1, 0),
    )
    assert "differ in scale" in (problem(case) or "")


def test_refuses_padding_that_tflite_cannot_leave_out_of_the_mean() -> None:
    reason = problem(pool("torch", (8, 8, 3), (3, 3), (2, 2), (1, 1, 1, 1)))
    assert reason is not None
    assert "SAME" in reason
