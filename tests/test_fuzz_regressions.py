"""Networks that the fuzzer found wrong once, cut down to what mattered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.operators import operator
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.parity import random_feeds
from edgecnn.passes import pipeline
from tests.ops.case_table import Case, Constant, Value, build, run
from tests.passes.graphs import Sketch, assert_same


def codes(*shape: int) -> Array:
    return np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)


REGRESSIONS = (
    # Samples stacked along the first axis met the constant's third axis in the simulator.
    Case(
        "operand_of_lower_rank_than_the_constant",
        "squared_difference",
        (Value((1, 1), 0.05, 3), Constant(codes(1, 1, 2, 2), (0.04,))),
        output=(0.4, -128),
    ),
    Case(
        "operands_of_different_ranks",
        "add",
        (Value((1, 3), 0.05, 3), Value((1, 2, 1, 3), 0.04, -7)),
        AddAttributes(),
        output=(0.1, 5),
    ),
)


@pytest.mark.parametrize("case", REGRESSIONS, ids=lambda case: case.name)
def test_found_by_the_fuzzer(case: Case, tmp_path: Path) -> None:
    graph = build([case])
    report = run(graph, tmp_path, random_feeds(graph, 5, 0))
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]


@pytest.mark.parametrize("op", ["prelu", "mul"])
def test_a_constant_of_one_value_and_many_axes_stops_reshapes(op: str) -> None:
    """A reshape that moved behind its reader left a tensor of the constant's rank."""
    s = Sketch(1, 30)
    x = s.emit("reshape", [s.x], ReshapeAttributes((1, 1, 1, 30)))
    before = s.graph(s.emit(op, [x, s.positive("constant", 1, 1, 1, 1)], operator(op).attributes()))
    assert_same(before, pipeline.run(before))
