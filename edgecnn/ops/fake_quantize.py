"""Rounds reals to what int8 codes stand for: QuantizeLinear and DequantizeLinear together.

Only networks that were quantized elsewhere hold it, while they are read: it becomes the scale and
zero point of the tensor before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import Array, Attributes, QuantParams, Shape
from edgecnn.operators import Operator


@dataclass(frozen=True)
class FakeQuantizeAttributes(Attributes):
    """Scale and zero point of the codes, one for the tensor."""

    quant: QuantParams


class FakeQuantize(Operator[FakeQuantizeAttributes, None]):
    """Quantize and dequantize."""

    attributes = FakeQuantizeAttributes
    summary = "becomes the scale and zero point of its input's tensor"
    is_float_only = True
    is_elementwise = True

    def infer_shapes(
        self, attributes: FakeQuantizeAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: FakeQuantizeAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        scale, zero_point = attributes.quant.scale[0], attributes.quant.zero_point[0]
        return (dequantize(quantize(x, scale, zero_point), scale, zero_point),)


OPERATOR = FakeQuantize()
