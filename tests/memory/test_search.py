from __future__ import annotations

import pytest

from firmware_export.memory import checker
from firmware_export.memory.constraints import Distances, lower_bound
from firmware_export.memory.plan import Buffer, Overlap, Plan, Problem
from firmware_export.memory.search import OutOfWork, Search, Work, always_fits, groups

#: Both outputs may overlap the input, in bytes of it that would have to be the same to save most.
NEEDED = Problem(
    (Buffer("r", 8, 0, 1), Buffer("s", 16, 1, 2), Buffer("t", 4, 1, 2)),
    (Overlap("s", "r", 8), Overlap("t", "r", 0)),
)


def search(needed: Problem, capacity: int, looks: int = 10_000) -> Search:
    return Search(Distances(needed), needed.buffers, capacity, Work(looks))


def test_finds_what_there_is_and_nothing_where_there_is_not() -> None:
    chain = tuple(Buffer(f"t{i}", size, i - 1, i) for i, size in enumerate((100, 400, 300, 40)))
    assert search(Problem(chain), 696).run() is None
    offsets = search(Problem(chain), 700).run()
    assert offsets is not None
    assert abs(offsets["t1"] - offsets["t2"]) >= 300
    assert max(offsets[b.name] + b.size for b in chain) <= 700


def test_twins_lie_in_their_order() -> None:
    twins = tuple(Buffer(name, 8, 0, 1) for name in "abc")
    assert search(Problem(twins), 24).run() == {"a": 0, "b": 8, "c": 16}


def test_work_ends() -> None:
    with pytest.raises(OutOfWork):
        search(NEEDED, 16, looks=1).run()


def test_proves_that_more_is_needed_than_is_in_use_at_once() -> None:
    assert lower_bound(Distances(NEEDED)) == 16
    assert search(NEEDED, 16).run() is None
    offsets = search(NEEDED, 20).run()
    assert offsets is not None
    checker.check(Plan(NEEDED.buffers, offsets, 20, NEEDED.overlaps))


def test_what_fits_anywhere_is_no_matter_of_search() -> None:
    """Two others leave three gaps, of which one has 8 bytes if there are 16 or more in all."""
    others = (Buffer("a", 20, 0, 2), Buffer("b", 4, 1, 3), Buffer("far", 99, 4, 5))
    found = Buffer("c", 8, 1, 1)
    assert always_fits(found, others, 24 + 16)
    assert not always_fits(found, others, 24 + 12)


def test_groups_have_no_step_in_common() -> None:
    found = (Buffer("a", 4, 0, 2), Buffer("b", 4, 3, 3), Buffer("c", 4, 1, 1), Buffer("d", 4, 3, 5))
    assert [[b.name for b in group] for group in groups(found)] == [["a", "c"], ["b", "d"]]
