"""Softmax of int16 values: TFLite's exponential and reciprocal by interpolation in tables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.fixedpoint import (
    INT16_MAX,
    INT16_MIN,
    count_leading_zeros_32,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    round_half_away,
)
from edgecnn.ir import Array
from edgecnn.lookup import in_float32

#: Steps of a table, and of the values that it stands for.
STEPS, RANGE = 512, 65535
#: The exponential is tabled down to exp(-10), which counts as nothing.
DIFFERENCE_RANGE = 10.0
#: Terms of at most 2**15 whose sum int32 holds.
MAX_DEPTH = (1 << 16) - 1


@dataclass(frozen=True)
class WideSoftmaxParams:
    """Integers of an int16 softmax over rows of ``depth`` values.

    ``multiplier`` and ``shift`` bring differences to steps of 10 / 65535. ``in_double`` the tables
    are those of TFLite, else of TFLite Micro.
    """

    depth: int
    rows: int
    multiplier: int
    shift: int
    in_double: bool = False


def lower(
    depth: int, rows: int, scale: float, beta: float, *, in_double: bool = False
) -> WideSoftmaxParams:
    """The integers for an input scale; as TFLite's ``CalculateSoftmaxParams``."""
    real = scale * float(np.float32(beta)) / (DIFFERENCE_RANGE / RANGE)
    return WideSoftmaxParams(depth, rows, *quantize_multiplier(real), in_double)


def evaluate(params: WideSoftmaxParams, x: Array) -> Array:
    """Compute TFLite's ``reference_ops::SoftmaxInt16``."""
    powers_of, one_over = exponentials(params.in_double), reciprocals(params.in_double)
    codes = x.astype(np.int64)
    difference = codes - codes.max(axis=-1, keepdims=True)
    scaled = multiply_by_quantized_multiplier(difference, params.multiplier, params.shift)
    powers = look_up(np.clip(scaled + INT16_MAX, INT16_MIN, INT16_MAX), powers_of)
    total = powers.sum(axis=-1, keepdims=True)
    headroom = count_leading_zeros_32(total)
    shifted = _rounded_shift(total << (headroom - 1), 14)
    argument = np.clip(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX)
    shares = _rounded_shift(powers * look_up(argument, one_over), 31 - headroom)
    return np.clip(shares, 0, INT16_MAX).astype(np.int16)


def look_up(x: Array, table: Array) -> Array:
    """Interpolate between entries, of which each stands for 128 values (``LUTLookup``)."""
    index, offset = 256 + (x >> 7), x & 127
    base, slope = table[index], table[index + 1] - table[index]
    return base + _rounded_shift(slope * offset, 7)


def _rounded_shift(x: Array, shift: Array | int) -> Array:
    """Divide by ``2**shift``, from 2 on, to the nearest; halves up."""
    result: Array = ((x >> (np.asarray(shift) - 1)) + 1) >> 1
    return result


@functools.cache
def exponentials(in_double: bool = False) -> Array:
    """exp of -10 to 0: 513 entries, int64."""
    kind = np.float64 if in_double else np.float32
    function = np.exp if in_double else in_float32(np.exp)
    return _table(kind, DIFFERENCE_RANGE, INT16_MAX, function)


@functools.cache
def reciprocals(in_double: bool = False) -> Array:
    """1 / (1 + x) of 0 to 1: 513 entries, int64."""
    kind = np.float64 if in_double else np.float32
    return _table(kind, 1.0, INT16_MIN, lambda x: kind(1) / (kind(1) + x))


def _table(
    kind: type[np.floating[Any]],
    width: float,
    zero_point: int,
    function: Callable[[Array], Array],
) -> Array:
    """TFLite's ``LUTPopulate`` of int16: entries that halve the error between them.

    The argument spans ``width``; all is computed in the floating-point type ``kind``.
    """
    scale, output_scale = (kind(span) / kind(RANGE) for span in (width, 2))
    low, high = (scale * kind(end - zero_point) for end in (INT16_MIN, INT16_MAX))
    span = output_scale * kind(INT16_MAX) - output_scale * kind(INT16_MIN)
    inverse = kind(RANGE + 1) / span
    step = (high - low) / kind(STEPS)
    starts = low + np.arange(STEPS + 1).astype(kind) * step
    values = function(starts)
    samples = round_half_away(values * inverse)
    between = round_half_away((values[1:] * inverse + samples[:-1]) / kind(2))
    middle = round_half_away(function(starts[:-1] + step / kind(2)) * inverse)
    bias = round_half_away((between - middle) / kind(2))
    last = round_half_away(function(np.array([high])) * inverse)
    entries = np.concatenate([samples[:-1] - bias, last])
    table: Array = np.clip(entries, INT16_MIN, INT16_MAX).astype(np.int64)
    return table
