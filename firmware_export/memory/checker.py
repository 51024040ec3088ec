"""Checks memory plans by looking at every pair of buffers; knows nothing of how they are made."""

from __future__ import annotations

from edgecnn.errors import InvariantError
from firmware_export.memory.plan import ALIGNMENT, Plan


def check(plan: Plan) -> None:
    """Raise `InvariantError` unless the plan is sound.

    Every buffer has an aligned offset and lies in the arena, and no two buffers that are in use
    at the same step share a byte.
    """
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
            if together_in_time and together_in_space:
                raise InvariantError(f"memory plan: '{a.name}' and '{b.name}' overlap")
