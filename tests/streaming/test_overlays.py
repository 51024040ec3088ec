"""Lines share memory with the rows of the input that were taken, and with each other.

On a memory that knows what each of its bytes is (`shadow`), at the plans of the planner, and with
two buffers as near as they may be, and nearer.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from edgecnn.ir import Graph
from firmware_export.memory import checker
from firmware_export.memory.lifetimes import STREAM_SCRATCH, problem, rows_name
from firmware_export.memory.plan import Overlap, Plan, aligned
from firmware_export.streaming.stream import Stream
from tests.streaming import shadow
from tests.streaming.networks import random_stream

FEW, MANY = range(10), range(1000, 4000)


def check_plan(seed: int) -> bool:
    """Whether there was a stream, with buffers in the same bytes."""
    found = random_stream(seed)
    if found is None:
        return False
    graph, stream = found
    plan = shadow.planned(stream, graph)
    checker.check(plan)
    shadow.run(stream, plan, graph.inputs[0])
    return bool(shared(plan, stream))


def shared(plan: Plan, stream: Stream) -> list[Overlap]:
    """The overlaps that a plan makes use of while the stream runs."""
    size = {buffer.name: buffer.size for buffer in plan.buffers}
    at = plan.offsets
    return [
        o
        for o in problem_overlaps(plan, stream)
        if at[o.written] < at[o.read] + size[o.read]
        and at[o.read] < at[o.written] + size[o.written]
    ]


def problem_overlaps(plan: Plan, stream: Stream) -> list[Overlap]:
    there = {b.name for b in plan.buffers if b.first <= stream.count - 1 <= b.last}
    return [o for o in plan.overlaps if {o.written, o.read} <= there]


@pytest.mark.slow
def test_planned_streams_read_what_they_wrote() -> None:
    shared = [check_plan(seed) for seed in FEW]
    assert sum(shared) > len(FEW) // 4


@pytest.mark.slow
@pytest.mark.parametrize("start", range(MANY.start, MANY.stop, 500))
def test_more_planned_streams(start: int) -> None:
    assert sum(check_plan(seed) for seed in range(start, start + 500)) > 100


# --- two buffers as near as they may be, all others far away ----------------------------------


def spread(graph: Graph, stream: Stream, overlap: Overlap, distance: int) -> Plan:
    """Buffers far from each other, but for two that are a distance apart. Offsets are not aligned.

    The written one begins ``distance`` bytes before the read one.
    """
    buffers = problem(graph, {}, {}, stream).buffers
    offsets, end = {}, 0
    for buffer in buffers:
        offsets[buffer.name] = end
        end += aligned(buffer.size)
    room = sum(aligned(b.size) for b in buffers) + abs(distance)
    offsets |= {overlap.read: end + room, overlap.written: end + room - distance}
    return Plan(buffers, offsets, end + 3 * room)


def overlaps_of(graph: Graph, stream: Stream) -> list[Overlap]:
    """All pairs that may share memory while the stream runs."""
    plan = shadow.planned(stream, graph)
    return problem_overlaps(plan, stream)


def holds(graph: Graph, stream: Stream, overlap: Overlap, distance: int) -> bool:
    try:
        shadow.run(stream, spread(graph, stream, overlap, distance), graph.inputs[0])
    except shadow.WrongByteError:
        return False
    return True


def test_every_pair_may_be_as_near_as_it_is_said_to_be() -> None:
    """At the distance, and anywhere further."""
    rng, tried = random.Random(0), 0
    for seed in FEW[:80]:
        found = random_stream(seed)
        if found is None:
            continue
        for overlap in overlaps_of(*found):
            further = overlap.distance + rng.randrange(1, 200)
            assert holds(*found, overlap, overlap.distance), (seed, overlap)
            assert holds(*found, overlap, further), (seed, overlap)
            tried += 1
    assert tried > 2 * len(FEW)


def over_input(graph: Graph, stream: Stream, name: str) -> Overlap | None:
    """How far a buffer may lie over the input; None where it must not, or there is no input."""
    found = {(o.written, o.read): o for o in overlaps_of(graph, stream)}
    return found.get((name, graph.inputs[0]))


def begins_late(stream: Stream, number: int) -> bool:
    """Whether a line has no row before all of the input has been taken."""
    line = stream.lines[0]
    return stream.outcome.lead[number] == -line.height * line.row_bytes


def test_lines_cannot_be_a_byte_nearer_to_the_input() -> None:
    """Then a row of the input is lost that has not been taken: the distance is no guess."""
    tried = 0
    for seed in FEW:
        found = random_stream(seed)
        if found is None:
            continue
        graph, stream = found
        for number, line in enumerate(stream.lines):
            overlap = over_input(
                graph, stream, line.tensor if line.whole else rows_name(line.tensor)
            )
            if overlap and not begins_late(stream, number):
                assert not holds(graph, stream, overlap, overlap.distance - 1), (seed, overlap)
                tried += 1
    assert tried > len(FEW)


def test_scratch_cannot_be_a_byte_nearer_to_the_input() -> None:
    tried = 0
    for seed in FEW:
        found = random_stream(seed)
        if found is None or not found[1].scratch_bytes:
            continue
        graph, stream = found
        overlap = over_input(graph, stream, STREAM_SCRATCH)
        if overlap is None:
            continue
        assert holds(graph, stream, overlap, overlap.distance)
        line = stream.lines[0]
        if stream.outcome.start < line.height * line.row_bytes:
            assert not holds(graph, stream, overlap, overlap.distance - 1), seed
            tried += 1
    assert tried > 0


def test_lines_that_are_nearer_to_each_other_are_found_out() -> None:
    """Not always: the rows that a line holds first are often not those that it needs last."""
    caught, tried = 0, 0
    for seed in FEW[:80]:
        found = random_stream(seed)
        if found is None:
            continue
        graph, stream = found
        for overlap in overlaps_of(graph, stream):
            if overlap.read == graph.inputs[0] or overlap.distance <= 0:
                continue
            row = next(x.row_bytes for x in stream.lines if overlap.written.endswith(x.tensor))
            caught += not holds(graph, stream, overlap, overlap.distance - row)
            tried += 1
    assert caught > tried // 2 > 0


def test_a_line_a_row_too_small_is_found_out() -> None:
    """The capacity is what is needed at the busiest moment, for each line."""
    tried = 0
    for seed in FEW[:80]:
        found = random_stream(seed)
        if found is None:
            continue
        graph, stream = found
        plan = shadow.planned(stream, graph)
        for number, line in enumerate(stream.lines):
            capacity = list(stream.outcome.capacity)
            capacity[number] -= 1
            outcome = replace(stream.outcome, capacity=tuple(capacity))
            smaller = replace(stream, outcome=outcome)
            if not line.whole:
                with pytest.raises(shadow.WrongByteError):
                    shadow.run(smaller, plan, graph.inputs[0])
                tried += 1
    assert tried > len(FEW) // 2
