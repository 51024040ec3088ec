"""Every rule of the checker: a plan that breaks it is rejected, its sound twin is not."""

from __future__ import annotations

import dataclasses

import pytest

from edgecnn.errors import InvariantError
from firmware_export.memory import checker
from firmware_export.memory.plan import Buffer, Overlap, Plan

A, B, C = Buffer("a", 8, 0, 1), Buffer("b", 8, 1, 2), Buffer("c", 4, 2, 3)


def test_accepts_a_sound_plan() -> None:
    checker.check(Plan((A, B, C), {"a": 0, "b": 8, "c": 0}, 16))


def test_accepts_sharing_by_buffers_that_never_meet() -> None:
    checker.check(Plan((A, C), {"a": 0, "c": 4}, 8))


@pytest.mark.parametrize(
    ("offsets", "arena", "rule"),
    [
        ({"a": 0, "b": 8}, 16, "'c' has no place"),
        ({"a": 0, "b": 10, "c": 0}, 18, "'b' is misaligned at 10"),
        ({"a": 0, "b": 8, "c": 0}, 15, "'b' leaves the arena"),
        ({"a": 0, "b": 8, "c": -4}, 16, "'c' leaves the arena"),
        ({"a": 0, "b": 8, "c": 16}, 16, "'c' leaves the arena"),
        ({"a": 0, "b": 0, "c": 8}, 16, "'a' and 'b' overlap"),
        ({"a": 0, "b": 4, "c": 0}, 16, "'a' and 'b' overlap"),
        ({"a": 4, "b": 0, "c": 8}, 16, "'a' and 'b' overlap"),
        ({"a": 0, "b": 8, "c": 12}, 16, "'b' and 'c' overlap"),
    ],
)
def test_rejects(offsets: dict[str, int], arena: int, rule: str) -> None:
    with pytest.raises(InvariantError, match=rule):
        checker.check(Plan((A, B, C), offsets, arena))


def test_meeting_at_one_step_is_meeting() -> None:
    """The last step of one and the first of the other are both included."""
    early, late = Buffer("early", 4, 0, 5), Buffer("late", 4, 5, 9)
    with pytest.raises(InvariantError, match="overlap"):
        checker.check(Plan((early, late), {"early": 0, "late": 0}, 4))


@pytest.mark.parametrize(
    ("apart", "overlap", "is_sound"),
    [
        (4, Overlap("b", "a", 4), True),
        (4, Overlap("b", "a", 0), True),
        (4, Overlap("b", "a", 5), False),
        (4, Overlap("b", "a", 4, is_exact=True), True),
        (4, Overlap("b", "a", 0, is_exact=True), False),
        (4, Overlap("a", "b", 4), False),
        (-4, Overlap("b", "a", 0), False),
        (-4, Overlap("b", "a", -4), True),
    ],
)
def test_what_may_overlap_does_so_as_far_as_it_may(
    apart: int, overlap: Overlap, is_sound: bool
) -> None:
    plan = Plan((A, B), {"a": 8 + apart, "b": 8}, 32, (overlap,))
    if is_sound:
        checker.check(plan)
    else:
        with pytest.raises(InvariantError, match="'a' and 'b' overlap"):
            checker.check(plan)


def test_what_is_still_needed_is_not_overlapped() -> None:
    """The input is read once more after the layer that could write over it."""
    later = Buffer("a", 8, 0, 2)
    plan = Plan((later, B), {"a": 0, "b": 0}, 8, (Overlap("b", "a", 0),))
    with pytest.raises(InvariantError, match="'a' and 'b' overlap"):
        checker.check(plan)


def test_rejects_a_bound_that_the_arena_undercuts() -> None:
    plan = Plan((A, B, C), {"a": 0, "b": 8, "c": 0}, 16, lower_bound=16)
    checker.check(plan)
    with pytest.raises(InvariantError, match="smaller than any can be"):
        checker.check(dataclasses.replace(plan, lower_bound=20))


def test_two_buffers_of_one_step_may_each_be_written_over_the_other() -> None:
    """What the first overlap does not allow, the second one may."""
    twins = (Buffer("a", 8, 1, 1), Buffer("b", 8, 1, 1))
    either = (Overlap("a", "b", 4), Overlap("b", "a", 4))
    for offsets in ({"a": 0, "b": 4}, {"a": 4, "b": 0}):
        checker.check(Plan(twins, offsets, 12, either))
    with pytest.raises(InvariantError, match="'a' and 'b' overlap"):
        checker.check(Plan(twins, {"a": 0, "b": 0}, 12, either))
