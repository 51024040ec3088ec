"""What two buffers may have in common, and the least that a step takes."""

from __future__ import annotations

import random

import pytest

from firmware_export.memory.constraints import FAR, Distances, lower_bound, steps
from firmware_export.memory.plan import Buffer, Overlap, Problem

ANYWHERE = ((-FAR, FAR),)


def pair(*overlaps: Overlap, read: int = 8, written: int = 12) -> Distances:
    """r is read by the layer that writes w."""
    found = (Buffer("r", read, 0, 1), Buffer("w", written, 1, 2))
    return Distances(Problem(found, overlaps))


@pytest.mark.parametrize(
    ("overlaps", "intervals", "shared"),
    [
        ((), ((-FAR, -8), (12, FAR)), 0),
        ((Overlap("w", "r", 0),), ((-FAR, -8), (0, FAR)), 8),
        ((Overlap("w", "r", 5),), ((-FAR, -8), (8, FAR)), 4),
        ((Overlap("w", "r", 12),), ((-FAR, -8), (12, FAR)), 0),
        ((Overlap("w", "r", -4),), ANYWHERE, 8),
        ((Overlap("w", "r", -4, True),), ((-FAR, -4), (12, FAR)), 4),
        ((Overlap("w", "r", 4, True),), ((-FAR, -8), (4, 4), (12, FAR)), 8),
        ((Overlap("w", "r", 5, True),), ((-FAR, -8), (12, FAR)), 0),
        ((Overlap("w", "r", -8),), ANYWHERE, 8),
        ((Overlap("r", "w", 0),), ((-FAR, -8), (12, FAR)), 0),
    ],
)
def test_a_pair(
    overlaps: tuple[Overlap, ...], intervals: tuple[tuple[int, int], ...], shared: int
) -> None:
    found = pair(*overlaps)
    assert found.allowed("w", "r") == intervals
    assert found.allowed("r", "w") == tuple((-b, -a) for a, b in reversed(intervals))
    assert found.shared("w", "r") == found.shared("r", "w") == shared


@pytest.mark.parametrize("seed", range(50))
def test_what_is_shared_is_the_most_at_any_distance(seed: int) -> None:
    rng = random.Random(seed)
    read, written = (4 * rng.randint(1, 9) for _ in range(2))
    overlap = Overlap("w", "r", rng.randint(-40, 40), rng.random() < 0.5)
    found = pair(overlap, read=read, written=written)
    common = [
        len(set(range(written)) & set(range(at, at + read)))
        for at in range(-80, 80, 4)
        if overlap.allows(0, at) or at <= -read or at >= written
    ]
    assert found.shared("w", "r") == max(common)


def test_buffers_that_never_meet_lie_anywhere() -> None:
    found = Distances(Problem((Buffer("a", 8, 0, 1), Buffer("b", 8, 2, 3), Buffer("c", 0, 0, 3))))
    assert found.allowed("a", "b") == found.allowed("a", "c") == ANYWHERE


def test_an_output_saves_its_own_size_at_most() -> None:
    found = (Buffer("a", 40, 0, 1), Buffer("b", 40, 0, 1), Buffer("s", 44, 1, 2))
    both = (Overlap("s", "a", 0), Overlap("s", "b", 4))
    assert lower_bound(Distances(Problem(found))) == 124
    assert lower_bound(Distances(Problem(found, both[:1]))) == 84
    assert lower_bound(Distances(Problem(found, both))) == 80


def test_only_steps_with_most_buffers_count() -> None:
    """At step 1, c is added to what is in use at step 0; at step 3, only a is left."""
    found = (Buffer("a", 4, 0, 3), Buffer("b", 5, 0, 1), Buffer("c", 0, 1, 2), Buffer("d", 3, 1, 2))
    (busiest,) = steps(Distances(Problem(found)))
    assert busiest.sizes == {"a": 4, "b": 8, "d": 4}
    assert lower_bound(Distances(Problem(found))) == 16
