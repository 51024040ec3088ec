"""The search for few layers in 16 bits."""

from __future__ import annotations

import functools
from collections.abc import Collection

import numpy as np
import pytest

from edgecnn.data import to_feeds
from edgecnn.errors import DataError, UserError
from edgecnn.ir import INT16, Graph
from edgecnn.parallel import Workers
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.mixed import ByRecipe, WideLayers, candidates, fewest_wide_layers
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.quantization.recipe import Recipe
from firmware_export.exporters import portable_calls
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.planner import plan
from tests.wide.networks import (
    CONV,
    DEPTHWISE,
    FLAT,
    LAST,
    LAYERS,
    POINTWISE,
    POOL,
    SUM,
    residual,
    samples,
)

FEEDS = to_feeds(residual(), samples())


@functools.cache
def quantized(wide: frozenset[str]) -> Graph:
    return quantize_graph(residual(), FEEDS, "minmax", wide)


def output_sqnr(graph: Graph) -> float:
    (found,) = (e.sqnr_db for e in layer_errors(residual(), graph, FEEDS) if e.tensor == LAST)
    return found


def arena_bytes(graph: Graph) -> int:
    return plan(problem(graph, portable_calls(graph))).arena_bytes


def wide_layers(graph: Graph) -> set[str]:
    """The layers of the float network that compute int16."""
    return {
        node.output.removesuffix("_int16")
        for node in graph.nodes
        if node.op != "requantize" and graph.tensors[node.output].dtype == INT16
    }


class Needing:
    """A score of 1 where some layers are wide, and less, by their number, where some are not."""

    def __init__(self, layers: Collection[str]) -> None:
        self.layers = set(layers)
        self.calls = 0

    def __call__(self, graph: Graph) -> float:
        self.calls += 1
        return len(self.layers & wide_layers(graph)) / len(self.layers)


def search(score: object, target: float, **options: object) -> WideLayers:
    return fewest_wide_layers(residual(), FEEDS, quantized, score, target, **options)  # type: ignore[arg-type]


def test_layers_that_can_be_wide() -> None:
    assert candidates(residual()) == tuple(name for name in LAYERS if name != FLAT)


@pytest.mark.parametrize("needed", [(CONV,), (LAST,), (DEPTHWISE, LAST), (CONV, POINTWISE, POOL)])
@pytest.mark.parametrize("order", ["sqnr", "score"])
def test_finds_just_what_is_needed(needed: tuple[str, ...], order: str) -> None:
    found = search(Needing(needed), 1.0, order=order)
    assert found.is_reached
    assert found.layers == tuple(name for name in LAYERS if name in needed)
    assert wide_layers(found.graph) == set(needed)
    assert found.score == 1.0


def test_nothing_is_wide_where_int8_does() -> None:
    found = search(output_sqnr, 10.0)
    assert found.is_reached
    assert found.layers == ()
    assert [step.change for step in found.steps] == [""]
    assert found.graph is quantized(frozenset())


def test_no_layer_found_can_be_left_out() -> None:
    lowest, highest = output_sqnr(quantized(frozenset())), output_sqnr(quantized(frozenset(LAYERS)))
    target = (lowest + highest) / 2
    found = search(output_sqnr, target)
    assert found.is_reached
    assert found.score == output_sqnr(quantized(frozenset(found.layers))) >= target
    assert 0 < len(found.layers) < len(LAYERS)
    for layer in found.layers:
        assert output_sqnr(quantized(frozenset(found.layers) - {layer})) < target


def test_the_best_is_kept_where_the_target_is_out_of_reach() -> None:
    found = search(output_sqnr, 1000.0)
    assert not found.is_reached
    assert found.score == max(step.score for step in found.steps)
    assert len(found.steps) == 1 + len(candidates(residual()))


def test_gains_are_in_order_and_those_of_layers_alone() -> None:
    found = search(output_sqnr, 1000.0)
    assert [g.gain for g in found.gains] == sorted((g.gain for g in found.gains), reverse=True)
    base = output_sqnr(quantized(frozenset()))
    for gain in found.gains:
        alone = output_sqnr(quantized(frozenset({gain.layer})))
        assert gain.gain == pytest.approx(alone - base, abs=1e-9)
    assert [step.change for step in found.steps[1:]] == [gain.layer for gain in found.gains]


def test_steps_tell_scores_and_costs() -> None:
    found = search(Needing([SUM]), 1.0, cost=arena_bytes)
    for step in found.steps:
        graph = quantized(frozenset(step.layers))
        assert step.cost == arena_bytes(graph)
        assert step.score == (1.0 if SUM in step.layers else 0.0)
    assert found.steps[0].layers == ()
    assert {step.cost for step in search(Needing([SUM]), 1.0).steps} == {None}


def test_takes_few_networks() -> None:
    score = Needing([CONV, LAST])
    search(score, 1.0)
    assert score.calls <= 2 * len(candidates(residual())) + 1


def test_the_same_again() -> None:
    first, second = (search(output_sqnr, 34.0, cost=arena_bytes) for _ in range(2))
    assert (first.layers, first.gains, first.steps) == (second.layers, second.gains, second.steps)


def test_refuses_what_has_no_samples_or_order() -> None:
    empty = {name: np.zeros((0, 1, 6, 6, 2), np.float32) for name in residual().inputs}
    with pytest.raises(DataError, match="without samples"):
        fewest_wide_layers(residual(), empty, quantized, output_sqnr, 1.0)
    with pytest.raises(UserError, match="order of layers is 'size'"):
        search(output_sqnr, 1.0, order="size")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky", "dask"])
def test_workers_find_the_same(backend: str) -> None:
    make = ByRecipe(residual(), FEEDS, Recipe.parse("mse", "none"))
    target = output_sqnr(make(frozenset())) + 1

    def search(workers: Workers) -> WideLayers:
        return fewest_wide_layers(residual(), FEEDS, make, output_sqnr, target, workers=workers)

    alone, together = search(Workers(1)), search(Workers(2, backend))
    assert alone.layers
    assert (alone.layers, alone.gains, alone.steps) == (
        together.layers, together.gains, together.steps
    )  # fmt: skip
