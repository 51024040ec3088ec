"""Learns which way each weight of a layer is rounded, so that the layer's output errs least.

The objective is that of AdaRound (Nagel et al., "Up or Down? Adaptive Rounding for Post-Training
Quantization", 2020): the mean squared error of the layer's sums, with each weight rounded up or
down. It is quadratic in the weights, so all that it needs of the data are second moments. Instead
of relaxing the choice and descending by gradients, one weight after another is set to the better
of its two integers until none changes: each step lowers the objective, and the result is the same
on every machine.
"""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, round_and_clamp, round_half_away
from edgecnn.ir import Array

#: Weights of one filter beyond which rounding is not learned: moments take their square in memory.
MAX_DEPTH = 4096
#: Rounds through all weights of a filter; it seldom takes half as many.
ROUNDS = 20
#: Weight of staying at the given value, as if inputs were that much more uncorrelated.
DAMPING = 0.1


class Moments:
    """First and second moments of what a layer reads, over the rows of its columns.

    ``got`` is what the int8 layer reads, and ``wanted`` what the float one reads in its place:
    (groups, rows, depth) a time. The second moments are left out where only means are needed:
    they take the square of the depth in memory.
    """

    def __init__(self, *, has_second: bool = True) -> None:
        self.rows = 0
        self._has_second = has_second
        self._got: Array = np.zeros(())
        self._wanted: Array = np.zeros(())
        self._square: Array = np.zeros(())
        self._cross: Array = np.zeros(())

    def add(self, got: Array, wanted: Array) -> None:
        """Take some more rows."""
        # Contiguous, for numpy multiplies views with other strides without BLAS.
        got = np.ascontiguousarray(got, np.float64)
        wanted = np.ascontiguousarray(wanted, np.float64)
        self.rows += got.shape[1]
        self._got = self._got + got.sum(axis=1)
        self._wanted = self._wanted + wanted.sum(axis=1)
        if self._has_second:
            self._square = self._square + got.transpose(0, 2, 1) @ got
            self._cross = self._cross + got.transpose(0, 2, 1) @ wanted

    @property
    def got(self) -> Array:
        """Mean of what is read: (groups, depth)."""
        return self._got / self.rows

    @property
    def wanted(self) -> Array:
        """Mean of what should be read."""
        return self._wanted / self.rows

    @property
    def covariance(self) -> Array:
        """Of what is read with itself: (groups, depth, depth)."""
        return self._square / self.rows - self.got[:, :, None] * self.got[:, None, :]

    @property
    def cross_covariance(self) -> Array:
        """Of what is read with what should be: (groups, depth read, depth wanted)."""
        return self._cross / self.rows - self.got[:, :, None] * self.wanted[:, None, :]


def learn_rounding(steps: Array, moments: Moments) -> Array:
    """int8 weights of a layer: each the integer below or above, as serves the sums best.

    ``steps`` is (groups, outputs, depth): the float weights in steps of their scales. What few
    rows seem to say of many weights is trusted less. The sums' means do not count, since the bias
    takes them. Returns float64 integers in [-127, 127].
    """
    covariance = moments.covariance
    depth = steps.shape[2]
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    pull = (DAMPING + depth / moments.rows) * variance
    quadratic = covariance.copy()
    quadratic[:, range(depth), range(depth)] += pull
    linear = steps @ moments.cross_covariance.transpose(0, 2, 1) + pull[:, None, :] * steps
    low = round_and_clamp(np.floor(steps), -INT8_MAX, INT8_MAX)
    high = round_and_clamp(np.ceil(steps), -INT8_MAX, INT8_MAX)
    chosen = round_and_clamp(steps, -INT8_MAX, INT8_MAX).astype(np.float64)
    slope = chosen @ quadratic - linear
    # A weight of an input that never changes is left as it is.
    known = variance > 1e-12 * variance.max(initial=0.0)
    curvature = np.where(known, variance + pull, np.inf)
    for _ in range(ROUNDS):
        changed = False
        for i in np.flatnonzero(known.any(axis=0)):
            best = round_half_away(chosen[:, :, i] - slope[:, :, i] / curvature[:, None, i])
            change = np.clip(best, low[:, :, i], high[:, :, i]) - chosen[:, :, i]
            if change.any():
                changed = True
                chosen[:, :, i] += change
                slope += change[:, :, None] * quadratic[:, None, i]
        if not changed:
            break
    return chosen
