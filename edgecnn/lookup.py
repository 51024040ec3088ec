"""Tables of 256 bytes as TFLite's kernels compute them: from floats, or by int8 arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecnn.fixedpoint import (
    INT8_MAX,
    inverse_square_root,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    round_half_away,
    saturate_int8,
)
from edgecnn.ir import Array, Tensor
from edgecnn.table_operator import CODES


def float32_table(x: Tensor, output: Tensor, function: Callable[[Array], Array]) -> Array:
    """The table of ``LUTPopulate`` (TFLite's ``kernels/internal/common.h``), int8.

    ``function`` takes and gives float32. The product with the reciprocal of the output's scale
    is rounded, and the zero point added, in float32 as well.
    """
    reals = np.float32(x.scale) * (CODES - x.zero_point).astype(np.float32)
    inverse = np.float32(1) / np.float32(output.scale)
    with np.errstate(over="ignore"):
        steps = round_half_away(function(reals).astype(np.float32) * inverse)
    return saturate_int8(steps.astype(np.float32) + np.float32(output.zero_point))


def in_float32(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """A function of float32 as a C library computes it: the float64 result, rounded."""

    def rounded(x: Array) -> Array:
        with np.errstate(over="ignore"):
            return function(x.astype(np.float64)).astype(np.float32)

    return rounded


def elu_table(x: Tensor, output: Tensor) -> Array:
    """TFLite Micro's int8 ELU (``elu.cc``): 1 is taken from exp(x), in float32."""

    def elu(reals: Array) -> Array:
        power = in_float32(np.exp)(np.minimum(reals, 0))
        return np.where(reals < 0, power - np.float32(1), reals)

    return float32_table(x, output, elu)


def abs_table(x: Tensor, output: Tensor) -> Array:
    """TFLite Micro's int8 ABS (``elementwise.cc``); the quotient of the scales is a float32."""
    magnitude = np.abs(CODES - x.zero_point)
    if x.scale != output.scale:
        ratio = float(np.float32(x.scale) / np.float32(output.scale))
        magnitude = multiply_by_quantized_multiplier(magnitude, *quantize_multiplier(ratio))
    return saturate_int8(magnitude + output.zero_point)


#: Bits that TFLite Micro's RSQRT keeps below the integers.
_RSQRT_FRACTION_BITS = 20


def rsqrt_table(x: Tensor, output: Tensor) -> Array:
    """TFLite Micro's int8 RSQRT (``elementwise.cc``), for inputs that are never negative."""
    root = np.sqrt(np.float32(x.scale)) * np.float32(output.scale)
    multiplier, shift = quantize_multiplier(1 / float(root))
    steps = np.maximum(CODES - x.zero_point, 1)
    inverse, inverse_shift = inverse_square_root(steps)
    wide = multiply_by_quantized_multiplier(1, inverse, inverse_shift + _RSQRT_FRACTION_BITS)
    scaled = multiply_by_quantized_multiplier(wide, multiplier, shift - _RSQRT_FRACTION_BITS)
    table = saturate_int8(scaled + output.zero_point)
    return np.where(x.zero_point == CODES, np.int8(INT8_MAX), table)
