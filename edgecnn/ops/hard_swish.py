"""Hard swish: x * min(max(x + 3, 0), 6) / 6."""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import (
    INT16_MAX,
    INT16_MIN,
    doubling_high_mul_16,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_doubling_high_mul_16,
    saturate_int8,
    to_int16_multiplier,
)
from edgecnn.functions import compute
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect
from edgecnn.table_operator import CODES, TableOperator

#: Bits that the input is shifted up by, to use 16 bits.
HIGH_RESOLUTION_BITS = 7
#: The kernel shifts 16-bit numbers right by at most so many bits and still rounds them.
MAX_RIGHT_SHIFT = 15


class HardSwish(TableOperator[Attributes]):
    """Hard swish."""

    summary = "16-bit arithmetic of TFLite's kernel"

    def function(self, attributes: Attributes, x: Array) -> Array:
        return compute("hard_swish", x)

    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        """Multiply the input by a share of 1, both in 16 bits (``hard_swish.h``)."""
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        (multiplier, exponent), (reluish, reluish_exponent) = _multipliers(node, graph)
        high = (CODES - x.zero_point) << HIGH_RESOLUTION_BITS
        share = _share(high, reluish, reluish_exponent)
        product = doubling_high_mul_16(share, rounding_doubling_high_mul_16(high, multiplier))
        return saturate_int8(rounding_divide_by_pot(product, -exponent) + output.zero_point)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if graph.tensors[node.output].quant is None:
            return None
        (_, exponent), (_, reluish_exponent) = _multipliers(node, graph)
        if exponent > 0:
            return "its output scale is more than 128 times smaller than its input scale"
        if exponent < -MAX_RIGHT_SHIFT:
            return "its output scale is more than 256 times larger than its input scale"
        if not -MAX_RIGHT_SHIFT <= reluish_exponent <= 31:
            return "its input scale is out of the range of the kernel's shifts"
        return None


def _multipliers(node: Node, graph: Graph) -> tuple[tuple[int, int], tuple[int, int]]:
    """16-bit multipliers and exponents to the output's scale, and to 3 as 2**15."""
    x, output = (np.float32(graph.tensors[n].scale) for n in (node.inputs[0], node.output))
    high_scale = np.float32(1 / 128) * x
    pairs = (
        quantize_multiplier(float(high_scale / output)),
        quantize_multiplier(float(high_scale / np.float32(3 / 32768))),
    )
    (m1, s1), (m2, s2) = pairs
    return (to_int16_multiplier(m1), s1), (to_int16_multiplier(m2), s2)


def _share(high: Array, multiplier: int, exponent: int) -> Array:
    """The factor (x + 3) / 6 in [0, 1], as 2**15."""
    value: Array = high
    if exponent > 0:
        value = np.clip(value << (exponent - 1), INT16_MIN, INT16_MAX)
    value = rounding_doubling_high_mul_16(value, multiplier)
    if exponent > 0:
        value = np.clip(value << 1, INT16_MIN, INT16_MAX)
    if exponent < 0:
        value = rounding_divide_by_pot(value, -exponent)
    return (value + (1 << 15)) >> 1


OPERATOR = HardSwish()
