"""Elementwise difference of two tensors, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.binary_operator import BinaryAttributes
from edgecnn.ir import Array
from edgecnn.ops.add import ScaledSum


@dataclass(frozen=True)
class SubAttributes(BinaryAttributes):
    """The fused activation."""


class Sub(ScaledSum[SubAttributes]):
    """Elementwise difference."""

    attributes = SubAttributes
    summary = "with broadcasting; one operand may be constant"

    def function(self, a: Array, b: Array) -> Array:
        return a - b


OPERATOR = Sub()
