"""Elementwise the smaller of two tensors, with broadcasting."""

from __future__ import annotations

import numpy as np

from edgecnn.extremum import Extremum
from edgecnn.ir import Array


class Minimum(Extremum):
    """Elementwise minimum."""

    def function(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)


OPERATOR = Minimum()
