"""Mean over windows of an NHWC image; padding is not counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgecnn.fixedpoint import divide_round_half_away
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import apply_activation
from edgecnn.pool_operator import PoolAttributes, PoolOperator, PoolParams
from edgecnn.windows import count_inside, extract, tflite_padding

#: int16 values that int32 can add up, and half of their number.
MAX_WIDE_WINDOW = (1 << 15) - 1


class AveragePool2DAttributes(PoolAttributes):
    """Size, stride, padding and fused activation."""


class AveragePool2D(PoolOperator[AveragePool2DAttributes]):
    """Average pooling."""

    attributes = AveragePool2DAttributes
    summary = "any size and stride; padding none or SAME, not counted in the mean"

    def evaluate_float(
        self, attributes: AveragePool2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        count = count_inside(attributes.window, (x.shape[1], x.shape[2]))[None, :, :, None]
        y = extract(x, attributes.window, 0.0).sum(axis=(3, 4)) / count.astype(np.float32)
        return (apply_activation(attributes.activation, y),)

    def evaluate_int(self, params: PoolParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        x = inputs[0].astype(np.int64)
        count = count_inside(params.window, (x.shape[1], x.shape[2]))[None, :, :, None]
        total = extract(x, params.window, 0).sum(axis=(3, 4))
        mean = divide_round_half_away(total, count)
        limits = (params.activation_min, params.activation_max)
        return (np.clip(mean, *limits).astype(params.dtype),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, AveragePool2DAttributes)
        height, width = graph.tensors[node.inputs[0]].shape[1:3]
        if tflite_padding(a.window, (height, width)) is None:
            return (
                f"padding {a.padding} (top, bottom, left, right) that the mean does not count "
                "is neither none nor TFLite's SAME"
            )
        if graph.is_wide(node) and math.prod(a.size) > MAX_WIDE_WINDOW:
            return f"it adds up over {MAX_WIDE_WINDOW} int16 values, which int32 may not hold"
        return super().unsupported(node, graph)


OPERATOR = AveragePool2D()
