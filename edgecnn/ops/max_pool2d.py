"""Maximum over windows of an NHWC image; padding never wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import Array
from edgecnn.operators import apply_activation
from edgecnn.pool_operator import PoolAttributes, PoolOperator, PoolParams
from edgecnn.windows import extract


class MaxPool2DAttributes(PoolAttributes):
    """Size, stride, padding and fused activation."""


class MaxPool2D(PoolOperator[MaxPool2DAttributes]):
    """Maximum pooling."""

    attributes = MaxPool2DAttributes
    summary = "any size, stride and padding"
    neutral = INT8_MIN

    def evaluate_float(
        self, attributes: MaxPool2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        y = extract(x, attributes.window, -np.inf).max(axis=(3, 4))
        return (apply_activation(attributes.activation, y),)

    def evaluate_int(self, params: PoolParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        largest = extract(inputs[0], params.window, INT8_MIN).max(axis=(3, 4))
        return (np.clip(largest, params.activation_min, params.activation_max).astype(np.int8),)


OPERATOR = MaxPool2D()
