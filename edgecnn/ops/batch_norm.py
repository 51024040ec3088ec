"""Batch normalization of the last axis, at inference. Folded away before quantization.

Inputs: x (…, C), scale (C), offset (C), mean (C), variance (C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.operators import Operator


@dataclass(frozen=True)
class BatchNormAttributes(Attributes):
    """The small number added to the variance."""

    epsilon: float = 1e-5


def scale_and_offset(
    attributes: BatchNormAttributes, constants: Sequence[Array]
) -> tuple[Array, Array]:
    """The affine map ``x * scale + offset`` that a batch normalization is, in float64."""
    gamma, beta, mean, variance = (np.asarray(c, np.float64) for c in constants)
    scale = gamma / np.sqrt(variance + attributes.epsilon)
    return scale, beta - mean * scale


class BatchNorm(Operator[BatchNormAttributes, None]):
    """Batch normalization."""

    attributes = BatchNormAttributes
    summary = "folded into the layer before it, or made a per-channel scale"
    is_float_only = True

    def infer_shapes(
        self, attributes: BatchNormAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: BatchNormAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        scale, offset = scale_and_offset(attributes, [c for c in inputs[1:] if c is not None])
        return ((x * scale + offset).astype(np.float32),)


OPERATOR = BatchNorm()
