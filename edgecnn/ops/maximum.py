"""Elementwise the larger of two tensors, with broadcasting."""

from __future__ import annotations

import numpy as np

from edgecnn.extremum import Extremum
from edgecnn.ir import Array


class Maximum(Extremum):
    """Elementwise maximum."""

    def function(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)


OPERATOR = Maximum()
