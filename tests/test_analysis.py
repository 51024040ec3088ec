"""What `analyze` says of a network is what `export` makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.ir import Graph
from edgecnn.loading import load_path
from firmware_export.analysis import analyze
from firmware_export.c_writer import Provenance
from firmware_export.export import export
from firmware_export.memory.plan import Problem
from firmware_export.memory.planner import plan
from firmware_export.preparation import Goal, prepare
from tests.streaming.networks import residual_network

GOALS: dict[str, dict[str, Any]] = {
    "default": {},
    "speed": {"optimize": "speed"},
    "memory": {"optimize": "memory"},
    "limit": {"ram_limit": 1000},
    "rows": {"feed": "rows"},
    "limit and rows": {"ram_limit": 700, "feed": "rows", "cpu": "cortex-m0plus"},
    "board": {"board": "microbit-v2"},
}
#: Those that hold little that the others do not.
OTHERS = ("speed", "memory", "limit", "limit and rows", "board")


def check(graph: Graph, options: dict[str, Any], directory: Path) -> int:
    """Both come to one arena, and to weights of one size; gives the bytes of the arena."""
    runners = ["numpy", "host-c"]
    exported = export(graph, directory, samples=0, runners=runners, **options)
    found = analyze(graph, Goal(**options))
    assert found.arena_bytes == exported.memory.arena_bytes
    assert found.weight_bytes == exported.weight_bytes
    if exported.fit is not None:
        assert exported.board is not None
        assert found.boards[exported.board].ram.used == exported.fit.ram.used
    return found.arena_bytes


@pytest.mark.parametrize(
    "goal", [pytest.param(g, marks=pytest.mark.slow if g in OTHERS else ()) for g in GOALS]
)
def test_has_the_arena_of_the_export(goal: str, tmp_path: Path) -> None:
    arena = check(residual_network(), GOALS[goal], tmp_path / "out")
    assert arena <= GOALS[goal].get("ram_limit", arena)


def test_a_plan_that_the_chooser_made_is_not_looked_for_again() -> None:
    """Of deep networks the last plan takes seconds."""
    prepared = prepare(residual_network(), Goal(ram_limit=1000))
    found = prepared.to_c(Provenance("", "", "")).plan
    assert plan(Problem(found.buffers, found.overlaps)) is found
    assert prepared.choice is not None
    assert found.arena_bytes == prepared.choice.selection.arena_bytes


#: Limits in bytes that each model can be exported for.
MODELS = {
    "vww_96_int8": 31_000,
    "pretrainedResnet_quant": 20_000,
    "kws_ref_model": 8_640,
    "ad01_int8": 768,
}
OFFICIAL = {name: goal for name, goal in GOALS.items() if name not in ("limit", "limit and rows")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("goal", [*OFFICIAL, "limit"])
@pytest.mark.parametrize("model", MODELS)
def test_official_models(
    model: str, goal: str, shared_path: Callable[[str], Path], tmp_path: Path
) -> None:
    if model == "ad01_int8" and goal == "rows":
        pytest.skip("it begins with a fully connected layer, which needs its input whole")
    graph = load_path(shared_path(f"models/mlperf_tiny/{model}.tflite"))
    options = {"ram_limit": MODELS[model]} if goal == "limit" else OFFICIAL[goal]
    arena = check(graph, options, tmp_path / "out")
    assert arena <= options.get("ram_limit", arena)
