"""Maximum over windows of an NHWC image; padding never wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.fixedpoint import INT8_MIN, code_limits
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
        lowest, _ = code_limits(params.dtype)
        largest = extract(inputs[0], params.window, lowest).max(axis=(3, 4))
        limits = (params.activation_min, params.activation_max)
        return (np.clip(largest, *limits).astype(params.dtype),)


OPERATOR = MaxPool2D()
