"""Distances are the least that are safe for any order of reading and writing."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.ir import Array
from firmware_export import distances
from firmware_export.distances import NOTHING, Sliding
from firmware_export.exporters import Distance


def is_safe(first_read: Array, written: Array, distance: int) -> bool:
    """Whether no step reads at or above its first byte what one before has written."""
    end = -NOTHING
    for read, until in zip(first_read.tolist(), written.tolist(), strict=True):
        if read != NOTHING and read + distance < end:
            return False
        end = max(end, until)
    return True


@pytest.mark.parametrize("seed", range(40))
def test_the_frontier_is_the_least_safe_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(2, 12))
    first_read = rng.integers(0, 40, steps)
    first_read[rng.random(steps) < 0.2] = NOTHING
    first_read[-1] = 7
    written = rng.integers(1, 60, steps)
    found = distances.frontier(first_read, written)
    assert all(is_safe(first_read, written, found + more) for more in (0, 1, 4, 100))
    assert not is_safe(first_read, written, found - 1)


def test_a_distance_that_saves_nothing_is_none() -> None:
    """All is read to the end while the output is written."""
    assert distances.overlaps(np.array([0, 0]), np.array([10, 11]), 8) == {0: Distance(10)}
    assert distances.overlaps(np.array([0, 0]), np.array([11, 11]), 8) == {}


def test_what_is_read_first_may_be_anywhere() -> None:
    assert distances.overlaps(np.array([0]), np.array([11]), 8) == {0: Distance(-8)}


def test_copies() -> None:
    crop = distances.walk((2, 3), (10, 1)) + 4
    assert distances.moves(crop, 20) == {0: Distance(-4)}
    assert distances.moves(np.arange(20)[::-1], 20) == {0: Distance(19)}
    assert distances.moves(np.repeat(np.arange(5), 2), 5) == {0: Distance(5)}


def test_borders() -> None:
    """Before the last value come 3 + 2 + 2 + 2 of the border."""
    assert distances.padded((4, 2), ((0, 0), (0, 0))) == {0: Distance(0)}
    assert distances.padded((4, 2), ((0, 1), (1, 1))) == {0: Distance(7)}


def test_concatenation() -> None:
    """Along the first axis the first input stays where it is, the second follows it."""
    assert distances.concatenated(1, [6, 4]) == {0: Distance(0), 1: Distance(6)}
    assert distances.concatenated(3, [6, 4]) == {0: Distance(8), 1: Distance(18)}


def test_rows_of_units() -> None:
    assert distances.rows_of_units(1, 8, [2, 4, 5]) == {0: Distance(4)}
    assert distances.rows_of_units(3, 8, [5]) == {0: Distance(-3)}
    assert distances.rows_of_units(3, 8, [4, 8]) == {0: Distance(4)}


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Sliding((5, 4, 3), (5, 4, 3), (1, 1), (0, 0)), 0),
        (Sliding((5, 4, 3), (5, 4, 6), (1, 1), (0, 0)), 57),
        (Sliding((5, 4, 3), (5, 4, 3), (1, 1), (1, 1)), 15),
        (Sliding((5, 4, 3), (3, 4, 3), (1, 1), (0, 0)), 0),
        (Sliding((6, 4, 3), (3, 2, 3), (2, 2), (0, 0)), -3),
    ],
)
def test_windows_pixel_by_pixel(window: Sliding, expected: int) -> None:
    """Pointwise, with more channels, 3 x 3 with a border, without one; halves."""
    count = window.positions
    assert window.in_blocks(range(count), 1) == {0: Distance(expected)}


def test_groups_of_channels_lie_just_over_each_other() -> None:
    """Later rows must not be read again; where they are, there is no such distance."""
    rows = np.repeat(np.arange(4), 3)
    exact = {0: Distance(0, is_exact=True)}
    assert distances.in_groups(rows // 2, rows // 2) == exact
    assert distances.in_groups(rows // 2, np.minimum(rows // 2 + 1, 1)) == {}
    assert distances.in_groups(rows[:6] // 2, np.full(12, -1)) == exact
