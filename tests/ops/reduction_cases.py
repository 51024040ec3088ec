"""Cases and tests of the largest and the smallest value over some axes."""

from __future__ import annotations

import itertools
from typing import ClassVar

from edgecnn.operators import operator
from edgecnn.reductions import ReduceAttributes
from tests.ops.case_table import Case, Rng, Value, draw, draw_scale, draw_zero_point, problem
from tests.ops.case_tests import CaseTests

#: Every set of axes of four but the batch.
AXES = [axes for n in (1, 2, 3) for axes in itertools.combinations(range(1, 4), n)]


def reduction(
    op: str, name: str, x: Value | tuple[int, ...], axes: tuple[int, ...], keep_dims: bool = False
) -> Case:
    """A reduction of some axes of an input, or of some shape."""
    make = operator(op).attributes
    assert issubclass(make, ReduceAttributes)
    value = x if isinstance(x, Value) else Value(x, 0.05, 3)
    return Case(name, op, [value], make(axes, keep_dims))


def named_cases(op: str) -> list[Case]:
    """Sets of axes, ranks and sizes."""
    return [
        *(reduction(op, f"axes-{a}", (1, 5, 3, 7), a) for a in AXES),
        *(reduction(op, f"axes-{a}-kept", (1, 5, 3, 7), a, True) for a in AXES),
        reduction(op, "rank-2", (1, 17), (1,), True),
        reduction(op, "rank-3", (1, 9, 5), (1,)),
        reduction(op, "one-value", (1, 1, 1, 5), (1, 2)),
        reduction(op, "many-values", (1, 64, 64, 2), (1, 2)),
        reduction(op, "batch-too", (1, 4, 4, 3), (0, 1, 2), True),
    ]


def draw_reduction(op: str, rng: Rng, name: str) -> Case:
    """Random axes of a random shape; something of it stays."""
    shape = (1, *(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 4)))))
    count = int(rng.integers(1, len(shape)))
    axes = tuple(sorted(int(a) for a in rng.choice(range(1, len(shape)), count, replace=False)))
    keep_dims = bool(draw(rng, (True, False)) or len(axes) + 1 == len(shape))
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return reduction(op, name, x, axes, keep_dims)


class ReductionTests(CaseTests):
    """All that holds for both."""

    op: ClassVar[str]

    def test_refuses_five_dimensions(self) -> None:
        case = reduction(self.op, "deep", (1, 2, 2, 2, 2), (1,))
        assert "5 dimensions" in (problem(case) or "")
