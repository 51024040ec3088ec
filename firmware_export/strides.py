"""Merging of axes, so that the kernels loop over few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.ir import Shape


def row_major(shape: Shape) -> tuple[int, ...]:
    """Strides, in elements, of a contiguous array."""
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def broadcast_strides(shape: Shape, rank: int) -> tuple[int, ...]:
    """Strides of an operand along the axes of a result of some rank; 0 where it is repeated."""
    strides = [0 if n == 1 else s for n, s in zip(shape, row_major(shape), strict=True)]
    return (0,) * (rank - len(shape)) + tuple(strides)


def merge_axes(
    shape: Shape, strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Drop axes of size 1 and merge neighbours that every operand walks through in one go.

    ``strides[i]`` are operand i's along the axes of ``shape``. Returns the shorter shape and
    strides; at least one axis is left.
    """
    merged: list[tuple[int, list[int]]] = []
    for size, *steps in zip(shape, *strides, strict=True):
        if size == 1:
            continue
        if merged:
            last_size, last_steps = merged[-1]
            if all(a == b * size for a, b in zip(last_steps, steps, strict=True)):
                merged[-1] = (last_size * size, steps)
                continue
        merged.append((size, steps))
    if not merged:
        merged = [(1, [0] * len(strides))]
    sizes = tuple(size for size, _ in merged)
    return sizes, tuple(tuple(steps[i] for _, steps in merged) for i in range(len(strides)))


def left_pad(values: Sequence[int], length: int, fill: int) -> tuple[int, ...]:
    """Put ``fill`` before values until there are ``length``."""
    return (fill,) * (length - len(values)) + tuple(values)
