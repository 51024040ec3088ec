"""Places buffers in the arena: best fit, largest first, over several orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from firmware_export.memory.plan import Buffer, Plan, aligned

#: Orders in which buffers are placed; the plan with the smallest arena wins, the first of equals.
_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.first),
    lambda b: (-b.size * (b.last - b.first + 1), -b.size),
    lambda b: (-(b.last - b.first), -b.size),
    lambda b: (b.first, -b.size),
    lambda b: (-b.last, -b.size),
)


def _overlaps(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


def _best_gap(size: int, taken: Sequence[tuple[int, int]]) -> int:
    """Start of the tightest gap for ``size`` bytes between taken (begin, end) spans."""
    best_start, best_room, cursor = None, 0, 0
    for begin, end in sorted(taken):
        room = begin - cursor
        if room >= size and (best_start is None or room < best_room):
            best_start, best_room = cursor, room
        cursor = max(cursor, end)
    return cursor if best_start is None else best_start


def _place(ordered: Sequence[Buffer]) -> dict[str, int]:
    offsets: dict[str, int] = {}
    placed: list[Buffer] = []
    for buffer in ordered:
        taken = [
            (offsets[other.name], offsets[other.name] + aligned(other.size))
            for other in placed
            if _overlaps(buffer, other)
        ]
        offsets[buffer.name] = _best_gap(aligned(buffer.size), taken)
        placed.append(buffer)
    return offsets


def plan(buffers: Sequence[Buffer]) -> Plan:
    """Place buffers so that those in use at the same time do not overlap.

    Deterministic. Takes time quadratic in the number of buffers.
    """
    best: Plan | None = None
    for order in _ORDERS:
        offsets = _place(sorted(buffers, key=lambda b: (*order(b), b.name)))
        arena = max((offsets[b.name] + aligned(b.size) for b in buffers), default=0)
        if best is None or arena < best.arena_bytes:
            best = Plan(tuple(buffers), offsets, arena)
    assert best is not None
    return best


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes in use at the busiest step: no plan without overlap can be smaller."""
    steps = {buffer.first for buffer in buffers}
    return max(
        (sum(aligned(b.size) for b in buffers if b.first <= step <= b.last) for step in steps),
        default=0,
    )
