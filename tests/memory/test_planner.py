from __future__ import annotations

import random

import numpy as np
import pytest

from edgecnn.ir import Graph, Node, QuantParams, Tensor
from edgecnn.operators import Attributes
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory import checker
from firmware_export.memory.lifetimes import problem, scratch_name, storage
from firmware_export.memory.plan import ALIGNMENT, Buffer, Overlap, Problem
from firmware_export.memory.planner import lower_bound, plan


def random_buffers(seed: int) -> list[Buffer]:
    """Lifetimes of a network of up to 30 layers, with some that last long."""
    rng = random.Random(seed)
    layers = rng.randint(1, 30)
    found = []
    for i in range(rng.randint(1, 40)):
        first = rng.randint(-1, layers)
        length = rng.choice((0, 1, 1, 1, 2, rng.randint(0, layers)))
        size = rng.choice((0, 1, 3, 4, 5, rng.randint(1, 64), rng.randint(1, 20_000)))
        found.append(Buffer(f"b{i}", size, first, min(layers, first + length)))
    return found


@pytest.mark.parametrize("seed", range(150))
def test_random_lifetimes(seed: int) -> None:
    found = random_buffers(seed)
    result = plan(Problem(tuple(found)))
    checker.check(result)
    assert lower_bound(found) <= result.arena_bytes
    assert result.arena_bytes <= sum(-(-b.size // ALIGNMENT) * ALIGNMENT for b in found)


@pytest.mark.parametrize("seed", range(20))
def test_deterministic_in_any_order_of_equal_plans(seed: int) -> None:
    found = random_buffers(seed)
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    first, second = plan(Problem(tuple(found))), plan(Problem(tuple(shuffled)))
    assert dict(first.offsets) == dict(second.offsets)
    assert first.arena_bytes == second.arena_bytes


def test_plans_are_near_the_bound() -> None:
    """Best fit over several orders wastes little: a few percent over many random networks."""
    excess = [
        plan(Problem(tuple(b))).arena_bytes / max(lower_bound(b), 1)
        for b in map(random_buffers, range(150))
    ]
    assert np.mean(excess) < 1.1


def test_no_buffers() -> None:
    assert plan(Problem(())).arena_bytes == 0
    assert lower_bound([]) == 0


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    sizes = (100, 400, 300, 40)
    chain = [Buffer(f"t{i}", size, i - 1, i) for i, size in enumerate(sizes)]
    assert plan(Problem(tuple(chain))).arena_bytes == lower_bound(chain) == 700


def test_a_small_buffer_goes_into_the_tightest_gap() -> None:
    found = (
        Buffer("a", 64, 0, 2),
        Buffer("b", 64, 0, 0),
        Buffer("c", 32, 1, 2),
        Buffer("d", 32, 2, 2),
    )
    assert plan(Problem(found)).arena_bytes == 128


# --- lifetimes of a graph ----------------------------------------------------------------------


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, shape, "int8", None, QuantParams.per_tensor(0.1, 0))


def residual() -> Graph:
    """x → relu a → reshape v; v and x are summed after a relu6 of v."""
    shapes = {"x": (1, 12), "a": (1, 12), "v": (1, 3, 4), "c": (1, 3, 4), "s": (1, 3, 4)}
    nodes = (
        Node("relu", ("x",), ("a",), Attributes()),
        Node("reshape", ("a",), ("v",), ReshapeAttributes((1, 3, 4))),
        Node("relu6", ("v",), ("c",), Attributes()),
        Node("add", ("v", "c"), ("s",), AddAttributes()),
    )
    tensors = {name: _tensor(name, shape) for name, shape in shapes.items()}
    return Graph("net", nodes, tensors, ("x",), ("s",))


def test_views_share_the_bytes_of_what_they_view() -> None:
    assert storage(residual()) == {"x": "x", "a": "a", "v": "a", "c": "c", "s": "s"}


def test_lifetimes_reach_to_the_last_reader_of_any_view() -> None:
    found = {b.name: (b.first, b.last) for b in problem(residual(), {}).buffers}
    assert found == {"x": (-1, 0), "a": (0, 3), "c": (2, 3), "s": (3, 4)}


def test_scratch_lives_for_its_layer_only() -> None:
    layers = {2: CLayer("relu6", {}, scratch_bytes=100), 3: CLayer("add", {})}
    found = {b.name: b for b in problem(residual(), layers).buffers}
    assert found[scratch_name(2)] == Buffer(scratch_name(2), 100, 2, 2)
    assert scratch_name(3) not in found


def test_an_input_that_is_an_output_lives_throughout() -> None:
    graph = residual()
    found = {b.name: b for b in problem(graph.replace(outputs=("s", "a")), {}).buffers}
    assert found["a"].last == len(graph.nodes)


def test_a_layer_may_write_over_an_input_that_nothing_needs_any_more() -> None:
    graph = residual()
    layers = {0: CLayer("relu", {}, overlaps={0: Distance(0)})}
    assert problem(graph, layers).overlaps == (Overlap("a", "x", 0),)
    layers = {2: CLayer("relu6", {}, overlaps={0: Distance(0)})}
    assert problem(graph, layers).overlaps == ()
    layers = {3: CLayer("add", {}, overlaps={0: Distance(4), 1: Distance(0, is_exact=True)})}
    assert problem(graph, layers).overlaps == (Overlap("s", "a", 4), Overlap("s", "c", 0, True))


# --- overlaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "arena"),
    [
        (None, 72),
        (Overlap("b", "a", 0), 40),
        (Overlap("b", "a", 8), 40),
        (Overlap("b", "a", 12), 44),
        (Overlap("b", "a", 12, is_exact=True), 44),
        (Overlap("b", "a", 0, is_exact=True), 40),
        (Overlap("b", "a", 100), 72),
    ],
)
def test_an_output_lies_as_far_below_its_input_as_it_has_to(
    overlap: Overlap | None, arena: int
) -> None:
    found = (Buffer("a", 32, 0, 1), Buffer("b", 40, 1, 2))
    result = plan(Problem(found, () if overlap is None else (overlap,)))
    checker.check(result)
    assert result.arena_bytes == arena
