from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import InvariantError
from edgecnn.ir import Graph, Node, QuantParams, Tensor
from edgecnn.operators import Attributes
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.zoo.tasks import TASKS
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory import checker
from firmware_export.memory.lifetimes import problem, scratch_name, storage
from firmware_export.memory.plan import ALIGNMENT, Buffer, Overlap, Problem
from firmware_export.memory.planner import plan, quick, search
from tests.memory.networks import OFFICIAL, needs, reference_network


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


def random_problem(seed: int, count: int = 40, size: int = 20_000) -> Problem:
    """Lifetimes with many possible overlaps, exact ones too, and some that are none."""
    rng = random.Random(seed)
    found = [replace(b, size=min(b.size, size)) for b in random_buffers(seed)[:count]]
    overlaps = tuple(
        Overlap(
            written.name,
            read.name,
            rng.choice((0, 0, 4, 6, -8, rng.randint(-size, size))),
            is_exact=rng.random() < 0.3,
        )
        for read in found
        for written in found
        if read is not written and abs(read.last - written.first) < 2 and rng.random() < 0.4
    )
    return Problem(tuple(found), overlaps)


@pytest.mark.parametrize("seed", range(300))
def test_never_worse_than_a_quick_plan(seed: int) -> None:
    """The work is less than by default, so that some are not proved; they are sound still."""
    needed = random_problem(seed) if seed % 2 else Problem(tuple(random_buffers(seed)))
    result, other = plan(needed, work=100_000), quick(needed)
    checker.check(result)
    checker.check(other)
    assert other.lower_bound <= result.lower_bound <= result.arena_bytes <= other.arena_bytes
    assert result.arena_bytes <= sum(-(-b.size // ALIGNMENT) * ALIGNMENT for b in needed.buffers)


def smallest_arena(needed: Problem) -> int:
    """By trying all offsets in arenas of a growing number of words."""
    arena = 0
    while not _fits_in(arena, needed, {}):
        arena += ALIGNMENT
    return arena


def _fits_in(arena: int, needed: Problem, offsets: dict[str, int]) -> bool:
    if len(offsets) == len(needed.buffers):
        return True
    buffer = needed.buffers[len(offsets)]
    for offset in range(0, arena - buffer.size + 1, ALIGNMENT):
        placed = {**offsets, buffer.name: offset}
        part = replace(needed, buffers=needed.buffers[: len(placed)])
        is_sound = all(_is_allowed(a, buffer, placed, part) for a in part.buffers[:-1])
        if is_sound and _fits_in(arena, needed, placed):
            return True
    return False


def _is_allowed(a: Buffer, b: Buffer, offsets: dict[str, int], needed: Problem) -> bool:
    """By the bytes and the steps that two buffers take."""
    bytes_of = [set(range(offsets[x.name], offsets[x.name] + x.size)) for x in (a, b)]
    steps_of = [set(range(x.first, x.last + 1)) for x in (a, b)]
    if bytes_of[0].isdisjoint(bytes_of[1]) or steps_of[0].isdisjoint(steps_of[1]):
        return True
    by_name = {a.name: a, b.name: b}
    for o in needed.overlaps:
        if {o.written, o.read} == {a.name, b.name}:
            apart = offsets[o.read] - offsets[o.written]
            is_far = apart == o.distance or (apart > o.distance and not o.is_exact)
            if is_far and by_name[o.read].last == by_name[o.written].first:
                return True
    return False


def small_problem(seed: int) -> Problem:
    """Up to 6 buffers of up to 4 words over few steps."""
    rng = random.Random(seed)
    found = []
    for i in range(rng.randint(2, 6)):
        first = rng.randint(-1, 3)
        found.append(Buffer(f"b{i}", rng.randint(0, 16), first, first + rng.randint(0, 2)))
    overlaps = tuple(
        Overlap(w.name, r.name, rng.choice((-8, -4, 0, 3, 4, 8)), is_exact=rng.random() < 0.3)
        for r in found
        for w in found
        if r is not w and r.last == w.first and rng.random() < 0.6
    )
    return Problem(tuple(found), overlaps)


@pytest.mark.parametrize("seed", range(300))
def test_as_small_as_any_plan(seed: int) -> None:
    needed = small_problem(seed)
    result = plan(needed)
    checker.check(result)
    assert result.is_optimal
    assert result.arena_bytes == smallest_arena(needed)


def test_some_small_problems_are_not_quick_ones() -> None:
    """What is proved here is not what is found anyway."""
    worse = [
        seed
        for seed in range(300)
        if quick(small_problem(seed)).arena_bytes > plan(small_problem(seed)).arena_bytes
    ]
    above = [
        seed
        for seed in range(300)
        if quick(small_problem(seed)).lower_bound < plan(small_problem(seed)).arena_bytes
    ]
    assert len(worse) > 5
    assert len(above) > 5


def test_a_plan_says_what_it_did_not_prove() -> None:
    """Without any work it is the quick one, and the gap is up to what is in use at once."""
    seed = next(s for s in range(300) if not quick(random_problem(s)).is_optimal)
    result, other = plan(random_problem(seed), work=0), quick(random_problem(seed))
    assert result == other
    assert result.gap == other.arena_bytes - other.lower_bound > 0
    assert not result.is_optimal


@pytest.mark.parametrize("seed", range(20))
def test_deterministic_in_any_order_of_buffers(seed: int) -> None:
    found = random_buffers(seed)
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    first, second = quick(Problem(tuple(found))), quick(Problem(tuple(shuffled)))
    assert dict(first.offsets) == dict(second.offsets)
    assert first.arena_bytes == second.arena_bytes


def test_the_same_again() -> None:
    """Searched anew, not remembered."""
    needed = random_problem(21)
    first, again = (search(needed, 200_000) for _ in range(2))
    assert dict(first.offsets) == dict(again.offsets)
    assert first == again


def test_quick_plans_are_near_the_bound() -> None:
    """Best fit over several orders wastes little: a few percent over many random networks."""
    plans = [quick(Problem(tuple(random_buffers(seed)))) for seed in range(150)]
    assert np.mean([p.arena_bytes / max(p.lower_bound, 1) for p in plans]) < 1.1


def test_no_buffers() -> None:
    result = plan(Problem(()))
    assert (result.arena_bytes, result.lower_bound, result.is_optimal) == (0, 0, True)


def test_names_are_unique() -> None:
    with pytest.raises(InvariantError, match="two buffers have the same name"):
        plan(Problem((Buffer("a", 4, 0, 1), Buffer("a", 8, 1, 2))))
    found = (Buffer("a", 4, 0, 1), Buffer("b", 8, 1, 2))
    with pytest.raises(InvariantError, match="two overlaps of the same buffers"):
        plan(Problem(found, (Overlap("b", "a", 0), Overlap("b", "a", 4))))


# --- networks ----------------------------------------------------------------------------------


def check_network(graph: Graph, name: str) -> None:
    """The plan is proved to be the smallest, in less than 10 seconds."""
    needed = needs(graph)
    start = time.perf_counter()
    result = search(needed)
    seconds = time.perf_counter() - start
    checker.check(result)
    print(f"{name}: {quick(needed).arena_bytes} to {result.arena_bytes} bytes, {seconds:.2f} s")
    assert result.is_optimal
    assert seconds < 10


@pytest.mark.parametrize("model", OFFICIAL)
def test_official_models(model: str, shared_path: Callable[[str], Path]) -> None:
    check_network(edgecnn.load(shared_path(f"models/mlperf_tiny/{model}.tflite")), model)


FAST = ("csp-mish", "mobilenet-v3", "u-net")


@pytest.mark.parametrize("task", FAST)
def test_reference_networks(task: str) -> None:
    check_network(reference_network(task), task)


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(TASKS.keys() - set(FAST)))
def test_all_reference_networks(task: str) -> None:
    check_network(reference_network(task), task)


# --- single plans ------------------------------------------------------------------------------


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    sizes = (100, 400, 300, 40)
    chain = [Buffer(f"t{i}", size, i - 1, i) for i, size in enumerate(sizes)]
    assert plan(Problem(tuple(chain))).arena_bytes == 700


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
