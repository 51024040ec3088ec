from __future__ import annotations

import numpy as np
import pytest

from edgecnn.fixedpoint import requantize
from edgecnn.ir import Array
from firmware_export import small


def rescale(found: small.Rescaling, sums: Array, zero_point: int) -> Array:
    """What `edgecnn_small_requantize` computes for (channels, n) sums, in int32 as it does."""
    pieces, bits = found.pieces, small.PIECE_BITS[found.pieces]
    table = found.scales.data.astype(np.int64)
    rounding, shift, *cut = (column[:, None] for column in table.T)
    bias = found.bias.data.astype(np.int64)[:, None]
    total, h = sums + bias, np.zeros_like(sums)
    for piece in cut:
        product = total * piece
        h = (h >> bits) + product
        assert max(np.abs(product).max(), np.abs(h).max()) < 1 << 31
    h += rounding
    if zero_point != -128:
        h += (total >> 31) << (31 - bits * (pieces - 1))
    assert np.abs(h).max() < 1 << 31
    return np.clip(h >> shift, 0, 255) - 128


def around_steps(bound: int, multiplier: int, right: int, n: int) -> Array:
    """Sums near those at which the output changes, and others."""
    rng = np.random.default_rng(n)
    steps = ((2 * np.arange(-300, 300) + 1) << (30 + right)) // multiplier
    near = (steps[:, None] + np.arange(-3, 4)).reshape(-1)
    ends = [-bound, -bound + 1, -1, 0, 1, bound - 1, bound]
    sums = np.concatenate([near, rng.integers(-bound, bound + 1, 4000), ends])
    return np.clip(sums, -bound, bound)


@pytest.mark.parametrize("zero_point", [-128, -127, -3, 0, 127])
@pytest.mark.parametrize("bound", [1 << 9, (1 << 20) - 1, 1 << 20, (1 << 23) - 1])
def test_rescaling_is_exact(bound: int, zero_point: int) -> None:
    rng = np.random.default_rng(bound)
    ends = np.array([1 << 30, (1 << 30) + 1, (1 << 31) - 1])
    multiplier = np.concatenate([ends, rng.integers(1 << 30, 1 << 31, 60)])
    found = 0
    for right in range(0 if zero_point == -128 else 1, 24):
        channels = multiplier.size
        bias, shift = np.zeros(channels, np.int64), np.full(channels, -right)
        result = small.rescaling(np.full(channels, bound), bias, multiplier, shift, zero_point)
        if result is None:
            assert right > 12
            continue
        if right <= 12:
            assert result.pieces == (3 if bound < 1 << 20 else 4)
            found += 1
        sums = np.stack([around_steps(bound, int(m), right, i) for i, m in enumerate(multiplier)])
        wanted = requantize(sums, multiplier[:, None], shift[:, None], zero_point)
        np.testing.assert_array_equal(rescale(result, sums, zero_point), wanted)
    assert found > 10


def test_sums_that_do_not_fit_are_refused() -> None:
    multiplier, shift, bias = np.array([1 << 30]), np.array([-9]), np.array([0])
    assert small.rescaling(np.array([1 << 23]), bias, multiplier, shift, 0) is None
    left = np.array([1])
    assert small.rescaling(np.array([100]), bias, multiplier, left, 0) is None


def test_pairs_of_weights_stay_below_half_a_word() -> None:
    assert small.pack_taps(np.array([[-128, 1, -128, -127]], np.int8)) is not None
    assert small.pack_taps(np.array([[1, 1, -128, -128]], np.int8)) is None
