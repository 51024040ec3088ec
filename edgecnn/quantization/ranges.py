"""Chooses the real range that a tensor's int8 values span, and its scale and zero point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, round_and_clamp
from edgecnn.ir import QuantParams
from edgecnn.quantization.observers import BINS, Observation

Range = tuple[float, float]

#: Smallest scale that is handed out; a tensor that is always 0 gets scale 1.
MIN_SCALE = 1e-12
#: Fractions of the observed range that the MSE search tries, for each end.
MSE_STEPS = 40


def minmax(observation: Observation) -> Range:
    """The whole observed range."""
    return observation.low, observation.high


def mse(observation: Observation) -> Range:
    """The part of the observed range with the least mean squared quantization error.

    Both ends shrink towards 0 by the same fraction, from the whole range to a fortieth. The
    error is summed over the histogram: rounding errors inside the range are ``scale**2 / 12``
    on average, values outside are clipped to its ends.
    """
    counts, low, high = observation.counts, observation.low, observation.high
    if counts is None or high <= low:
        return low, high
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    best, best_error = (low, high), np.inf
    for step in range(MSE_STEPS, 0, -1):
        a, b = min(low, 0.0) * step / MSE_STEPS, max(high, 0.0) * step / MSE_STEPS
        clipped = centres - np.clip(centres, a, b)
        inside = clipped == 0
        squared = np.where(inside, ((b - a) / 255) ** 2 / 12, clipped**2)
        error = float((counts * squared).sum())
        if error < best_error:
            best, best_error = (a, b), error
    return best


RANGES: dict[str, Callable[[Observation], Range]] = {"minmax": minmax, "mse": mse}


def affine(span: Range) -> QuantParams:
    """Scale and zero point of int8 values that span a real range, widened to hold 0.

    ``scale = (high - low) / 255``; the zero point is the nearest integer to
    ``-128 - low / scale``, so that 0 is exact, as TFLite's quantization specification asks.
    """
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    if high == low:
        return QuantParams.per_tensor(1.0, 0)
    scale = float(np.float32(max((high - low) / (INT8_MAX - INT8_MIN), MIN_SCALE)))
    zero_point = int(round_and_clamp(INT8_MIN - low / scale, INT8_MIN, INT8_MAX))
    return QuantParams.per_tensor(scale, zero_point)
