"""int8 functions of one or two int8 values that are straight lines but for their rounding.

Such a function is ``clamp((sum of multiples of its inputs + offset) >> shift)`` for numbers that
agree with its own rounding. `fit` looks for them, and every input, or pair of inputs, is tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, INT32_MAX, round_half_even
from edgecnn.ir import Array

BYTES = np.arange(INT8_MIN, INT8_MAX + 1)
#: Inputs are in the upper bytes of int16 factors: SMLAW multiplies by 2**8 / 2**16.
_UNIT = 256.0
#: The right shift that is tried first: layers with the same one share their code.
_COMMON_SHIFT = 20
#: Slopes are tried on grids around the real ones, in these steps: parts of an output per byte.
#: Wide ones are for outputs that are often halfway, which a steeper line rounds away from zero.
_STEPS = (2.0**-24, 2.0**-20, 2.0**-17)
_STEPS_EACH_WAY = 24
_FAR = 1 << 62


@dataclass(frozen=True)
class Line:
    """The numbers of ``kernels/linear.h``: a factor for each input."""

    factors: tuple[int, int]
    offset: int
    shift: int


def _multiples(factor: int) -> Array:
    """What each byte adds to the sum: SMLAW's arithmetic."""
    return (BYTES.astype(np.int64) * (1 << 8) * factor) >> 16


def _factors(
    outputs: Array, slopes: tuple[float, float], real: Array, unit: float, step: float
) -> tuple[int, int]:
    """The pair of factors, of a grid, that leaves most room for the offset.

    Only pairs of inputs matter whose real output is so near to where it changes that some
    factors of the grid reach it.
    """
    near = np.abs(real + 0.5 - round_half_even(real + 0.5)) < 512 * _STEPS_EACH_WAY * step
    near &= (real > outputs.min() - 2) & (real < outputs.max() + 2)
    rows, columns = np.nonzero(near)
    out = outputs[near]
    lowest = np.where(out > INT8_MIN, out * unit, -np.inf)
    highest = np.where(out < INT8_MAX, (out + 1) * unit, np.inf)
    grid = np.arange(-_STEPS_EACH_WAY, _STEPS_EACH_WAY + 1) * (step * unit * _UNIT)
    firsts, seconds = (slope * unit * _UNIT + grid for slope in slopes)
    best, room = (firsts[_STEPS_EACH_WAY], seconds[_STEPS_EACH_WAY]), -np.inf
    if rows.size > 0:
        second_parts = seconds[:, None] * (BYTES[columns] / _UNIT)
        for first in firsts:
            sums = first * (BYTES[rows] / _UNIT) + second_parts
            rooms = (highest - sums).min(axis=1) - (lowest - sums).max(axis=1)
            i = int(rooms.argmax())
            if rooms[i] > room:
                best, room = (first, seconds[i]), rooms[i]
    return int(round_half_even(best[0])), int(round_half_even(best[1]))


def _with_offset(outputs: Array, factors: tuple[int, int], shift: int) -> Line | None:
    """The line with the offset that is in the middle of what all pairs of inputs allow."""
    if max(map(abs, factors)) > INT32_MAX:
        return None
    sums = _multiples(factors[0])[:, None] + _multiples(factors[1])[None, :]
    lowest = np.where(outputs > INT8_MIN, (outputs << shift) - sums, -_FAR).max()
    highest = np.where(outputs < INT8_MAX, ((outputs + 1) << shift) - 1 - sums, _FAR).min()
    offset = int((lowest + highest) // 2)
    if lowest > highest or abs(offset) > INT32_MAX or np.abs(sums + offset).max() > INT32_MAX:
        return None
    return Line(factors, offset, shift)


def fit(outputs: Array, slopes: tuple[float, float], zero_points: Sequence[int]) -> Line | None:
    """Numbers that give ``outputs``, int8 of shape (256, 256), by the values of both inputs.

    Where an output is INT8_MIN or INT8_MAX the sum may lie beyond it. ``slopes`` are the input
    scales over the output's; ``zero_points`` those of both inputs and the output. None where
    there are none nearby.
    """
    out = outputs.astype(np.int64)
    a, b, c = zero_points
    real = (BYTES[:, None] - a) * slopes[0] + (BYTES[None, :] - b) * slopes[1] + c
    most = 30 - int(np.ceil(np.log2(np.abs(real).max() + 1)))
    shifts = sorted({shift for shift in (min(_COMMON_SHIFT, most), most) if shift > 0})
    for step, shift in itertools.product(_STEPS, shifts):
        line = _with_offset(out, _factors(out, slopes, real, 2.0**shift, step), shift)
        if line is not None:
            return line
    return None
