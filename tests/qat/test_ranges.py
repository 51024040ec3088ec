"""Ranges of activations: found as the quantizer finds them, then learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgecnn.errors import UserError
from edgecnn.ir import Array, QuantParams
from edgecnn.qat.plan import Row
from edgecnn.qat.ranges import CAPACITY, Ranges, least_error, rounded
from edgecnn.quantization.observers import BINS, Observation
from edgecnn.quantization.ranges import mse

ROWS = (Row(("a",), (), None), Row(("b", "c"), (), None), Row((), (), QuantParams((0.5,), (3,))))


def heavy(seed: int, size: int = 20_000) -> Array:
    return np.random.default_rng(seed).standard_t(2, size).astype(np.float32)


@pytest.mark.parametrize(
    "x", [heavy(0), np.abs(heavy(1)), np.float32([0, 6, 1, 2]), -(heavy(2) ** 2)]
)
def test_the_range_with_the_least_error_is_the_quantizers(x: Array) -> None:
    low, high = float(x.min()), float(x.max())
    counts, _ = np.histogram(x, BINS, (low, high))
    expected = mse(Observation(low, high, counts))
    assert least_error(torch.from_numpy(x)) == pytest.approx(expected, rel=1e-9)


def values(scale: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([-1.0, 2.0]) * scale * k for k, name in enumerate("abc", 1)}


def test_ranges_are_means_of_the_first_batches() -> None:
    ranges = Ranges(batches=3)
    for scale in (1.0, 2.0, 6.0):
        assert ranges.is_looking
        ranges.look(ROWS, values(scale))
    assert not ranges.is_looking
    np.testing.assert_allclose(ranges.found[:3], [[-3, 6], [-9, 18], [0, 0]])


def test_tensors_of_one_row_share_a_range() -> None:
    ranges = Ranges(batches=1)
    ranges.look(ROWS, {**values(1.0), "b": torch.tensor([-7.0, 0.0])})
    assert ranges.found[1].tolist() == [-7.0, 6.0]


def test_constants_are_within_the_range() -> None:
    ranges = Ranges(batches=1)
    ranges.look((Row(("a",), ("k",), None),), values(1.0))
    ends = ranges.ends((Row(("a",), ("k",), None),), {"k": torch.tensor([-0.5, 9.0])})
    assert ends.tolist() == [[-1.0, 9.0]]


def test_fixed_ranges_are_what_the_operator_says() -> None:
    ranges = Ranges(batches=1)
    ranges.look(ROWS, values(1.0))
    scales = ranges.scales(ROWS, {})
    assert scales[2].quant() == QuantParams((0.5,), (3,))
    rounded(torch.randn(4, 5, requires_grad=True), scales[2]).sum().backward()
    assert ranges.factors.grad is None


def test_a_gradient_widens_the_range_that_clips_too_much() -> None:
    ranges = Ranges(batches=1)
    ranges.look(ROWS, values(1.0))
    x = torch.full((4, 6), 3.0)
    for _ in range(200):
        (x - rounded(x, ranges.scales(ROWS, {})[0])).square().sum().backward()
        assert ranges.factors.grad is not None
        with torch.no_grad():
            ranges.factors -= 0.02 * ranges.factors.grad
        ranges.factors.grad = None
    low, high = ranges.ends(ROWS, {})[0].tolist()
    assert high == pytest.approx(3.0, abs=0.1)
    assert low == pytest.approx(-1.0, abs=0.1)


def test_an_end_at_zero_stays_there() -> None:
    ranges = Ranges(batches=1)
    ranges.look(ROWS[:1], {"a": torch.tensor([0.0, 2.0])})
    with torch.no_grad():
        ranges.factors += 1
    assert ranges.ends(ROWS[:1], {})[0].tolist() == [0.0, pytest.approx(2 * np.e)]


def test_too_many_ranges_are_refused() -> None:
    with pytest.raises(UserError, match=f"takes {CAPACITY}"):
        Ranges(batches=1).look(ROWS * CAPACITY, values(1.0))
