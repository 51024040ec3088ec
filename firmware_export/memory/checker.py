"""Checks memory plans by looking at every pair of buffers; knows nothing of how they are made."""

from __future__ import annotations

from edgecnn.errors import InvariantError
from firmware_export.memory.plan import ALIGNMENT, Buffer, Plan


def check(plan: Plan) -> None:
    """Raise `InvariantError` unless the plan is sound.

    Every buffer has an aligned offset and lies in the arena, and no two buffers that are in use
    at the same step share a byte, unless a layer that reads the one for the last time and writes
    the other for the first time allows it. What no plan can undercut is not more than the arena.
    """
    if plan.lower_bound > plan.arena_bytes:
        raise InvariantError("memory plan: the arena is smaller than any can be")
    for buffer in plan.buffers:
        if buffer.name not in plan.offsets:
            raise InvariantError(f"memory plan: '{buffer.name}' has no place")
        offset = plan.offsets[buffer.name]
        if offset % ALIGNMENT != 0:
            raise InvariantError(f"memory plan: '{buffer.name}' is misaligned at {offset}")
        if offset < 0 or offset + buffer.size > plan.arena_bytes:
            raise InvariantError(f"memory plan: '{buffer.name}' leaves the arena")
    for i, a in enumerate(plan.buffers):
        for b in plan.buffers[i + 1 :]:
            together_in_time = a.first <= b.last and b.first <= a.last
            a_start, b_start = plan.offsets[a.name], plan.offsets[b.name]
            together_in_space = a_start < b_start + b.size and b_start < a_start + a.size
            if together_in_time and together_in_space and not _is_allowed(plan, a, b):
                raise InvariantError(f"memory plan: '{a.name}' and '{b.name}' overlap")


def _is_allowed(plan: Plan, a: Buffer, b: Buffer) -> bool:
    """Whether one of two buffers may be written over the other one."""
    for overlap in plan.overlaps:
        for written, read in ((a, b), (b, a)):
            if (overlap.written, overlap.read) == (written.name, read.name):
                apart = plan.offsets[read.name] - plan.offsets[written.name]
                is_far = apart >= overlap.distance
                if overlap.is_exact:
                    is_far = apart == overlap.distance
                if is_far and read.last == written.first:
                    return True
    return False
