"""Chooses the real range that a tensor's int8 values span, and its scale and zero point."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, round_and_clamp
from edgecnn.ir import Array, QuantParams
from edgecnn.quantization.observers import BINS, Observation

Range = tuple[float, float]

#: Smallest scale that is handed out; a tensor that is always 0 gets scale 1.
MIN_SCALE = 1e-12
#: Fractions of the observed range that a search tries, for both ends.
STEPS = 40
#: Steps between the ends of an int8 range.
LEVELS = INT8_MAX - INT8_MIN
#: Percent of the values that `percentile` keeps.
PERCENT = 99.99


def minmax(observation: Observation) -> Range:
    """The whole observed range."""
    return observation.low, observation.high


def percentile(observation: Observation) -> Range:
    """What is left when the outermost values are cut off, half of them at each end.

    `PERCENT` of the values stay inside; to the width of a bin.
    """
    counts, low, high = observation.counts, observation.low, observation.high
    if counts is None or high <= low:
        return low, high
    edges = np.linspace(low, high, BINS + 1)
    outside = (1 - PERCENT / 100) / 2 * counts.sum()
    below = np.cumsum(counts)
    first = int(np.searchsorted(below, outside, side="right"))
    last = int(np.searchsorted(below, below[-1] - outside))
    return float(edges[first]), float(edges[last + 1])


def mse(observation: Observation) -> Range:
    """The part of the observed range with the least mean squared quantization error.

    The error is summed over the histogram: rounding errors inside the range are
    ``scale**2 / 12`` on average, values outside are clipped to its ends.
    """

    def error(counts: Array, centres: Array, a: float, b: float) -> float:
        clipped = centres - np.clip(centres, a, b)
        squared = np.where(clipped == 0, ((b - a) / LEVELS) ** 2 / 12, clipped**2)
        return float((counts * squared).sum())

    return _least(observation, error)


def entropy(observation: Observation) -> Range:
    """The part of the observed range whose int8 values tell most about the values.

    That is the least Kullback-Leibler divergence from the histogram, with what is outside in its
    end bins, to the histogram after quantization, in which the bins of a level that are not empty
    have equal shares. Zeros are left out, of which ReLU gives many: 0 is exact in every range.
    Source: S. Migacz, "8-bit inference with TensorRT" (2017).
    """
    width = (observation.high - observation.low) / BINS

    def error(counts: Array, centres: Array, a: float, b: float) -> float:
        counts = np.where(np.abs(centres) <= width / 2, 0, counts)
        inside = np.flatnonzero((centres >= a) & (centres <= b))
        if not inside.size:
            return np.inf
        first, last = inside[0], inside[-1]
        wanted = counts[first : last + 1].astype(np.float64)
        occupied = wanted > 0
        levels = np.floor((centres[first : last + 1] - a) / (b - a) * LEVELS).astype(np.int64)
        total = np.bincount(levels, wanted, LEVELS + 1)
        bins = np.bincount(levels, occupied, LEVELS + 1)
        got = np.where(occupied, (total / np.maximum(bins, 1))[levels], 0.0)
        wanted[0] += counts[:first].sum()
        wanted[-1] += counts[last + 1 :].sum()
        # A value outside of an end bin that held none before was not foreseen at all.
        got = np.where((wanted > 0) & (got == 0), 1e-3, got)
        p, q = wanted / wanted.sum(), got / max(got.sum(), 1e-30)
        known = p > 0
        return float((p[known] * np.log(p[known] / q[known])).sum())

    return _least(observation, error)


def _least(observation: Observation, error: Callable[[Array, Array, float, float], float]) -> Range:
    """The range with the least ``error(counts, centres, low, high)``.

    Both ends shrink towards 0 by the same fraction, from the whole range to a fortieth.
    """
    counts, low, high = observation.counts, observation.low, observation.high
    if counts is None or high <= low:
        return low, high
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    best, best_error = (low, high), np.inf
    for a, b in _shrunk(low, high):
        found = error(counts, centres, a, b)
        if found < best_error:
            best, best_error = (a, b), found
    return best


def _shrunk(low: float, high: float) -> Iterator[Range]:
    for step in range(STEPS, 0, -1):
        yield min(low, 0.0) * step / STEPS, max(high, 0.0) * step / STEPS


RANGES: dict[str, Callable[[Observation], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}


def affine(span: Range) -> QuantParams:
    """Scale and zero point of int8 values that span a real range, widened to hold 0.

    ``scale = (high - low) / 255``; the zero point is the nearest integer to
    ``-128 - low / scale``, so that 0 is exact, as TFLite's quantization specification asks.
    """
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    if high == low:
        return QuantParams.per_tensor(1.0, 0)
    scale = float(np.float32(max((high - low) / LEVELS, MIN_SCALE)))
    zero_point = int(round_and_clamp(INT8_MIN - low / scale, INT8_MIN, INT8_MAX))
    return QuantParams.per_tensor(scale, zero_point)
