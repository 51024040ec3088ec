"""int16 functions of TensorFlow Lite's recurrent kernels: sigmoid and tanh, two ways each.

TensorFlow Lite Micro interpolates in a table (``reference/integer_ops/logistic.h``, ``tanh.h``);
TensorFlow Lite evaluates gemmlowp's fixed-point series in 16 bits (``fixedpoint/fixedpoint.h``).
The table's twin in C is ``firmware_export/kernels/fixedpoint16.h``. Results are in Q0.15.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from edgecnn.fixedpoint import Int64, rounding_divide_by_pot

INT16_MIN = -(1 << 15)
INT16_MAX = (1 << 15) - 1

#: sigmoid(i / 24) in Q0.16, as the kernels have it; some entries are one above the nearest.
# fmt: off
SIGMOID_TABLE = np.array([
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794,
    41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443,
    48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374,
    54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544,
    58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279,
    61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990,
    63090, 63186, 63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030,
    64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652,
    64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019,
    65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234,
    65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360,
    65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
    65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476,
    65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
    65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516,
    65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
    65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532,
    65532, 65532, 65532, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534,
    65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
], np.int64)
# fmt: on


def saturate_int16(x: ArrayLike) -> Int64:
    """Clamp to int16 (kept in int64 for the sums and products that follow)."""
    return np.clip(np.asarray(x, np.int64), INT16_MIN, INT16_MAX)


# --- TensorFlow Lite Micro: a table ---------------------------------------------------------------


def _interpolated(magnitude: Int64, bits: int, saturated: int) -> Int64:
    """The table at ``magnitude / 2**bits``, times ``2**bits``; ``saturated`` behind its end."""
    index = np.minimum(magnitude >> bits, 254)
    low, high = SIGMOID_TABLE[index], SIGMOID_TABLE[index + 1]
    inside = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low)
    return np.where(magnitude >> bits >= 255, saturated, inside)


def to_curve(x: ArrayLike, multiplier: int, right_shift: int) -> Int64:
    """Inputs times ``multiplier / 2**right_shift``, rounded to nearest, halves up."""
    product = np.asarray(x, np.int64) * multiplier
    return product if right_shift == 0 else ((product >> (right_shift - 1)) + 1) >> 1


def table_sigmoid(x: ArrayLike) -> Int64:
    """sigmoid of Q3.12, Q0.15."""
    return sigmoid_curve(3 * np.asarray(x, np.int64))


def sigmoid_curve(scaled: Int64) -> Int64:
    """sigmoid of multiples of 1 / (3 * 4096), Q0.15."""
    y = _interpolated(np.abs(scaled), 9, INT16_MAX << 10)
    return np.where(scaled >= 0, y + 512, (1 << 25) - y + 511) >> 10


def table_tanh(x: ArrayLike, integer_bits: int) -> Int64:
    """tanh of values with some integer bits, Q0.15."""
    x, shift = 3 * np.asarray(x, np.int64), integer_bits - 3
    # Right shifts round to nearest, halves up.
    return tanh_curve(x << shift if shift >= 0 else ((x >> (-shift - 1)) + 1) >> 1)


def tanh_curve(scaled: Int64) -> Int64:
    """tanh of multiples of 1 / (3 * 4096), Q0.15."""
    y = _interpolated(np.abs(scaled), 8, 0xFFFF << 8)
    return np.where(scaled >= 0, y - (1 << 23) + 128, -y + (1 << 23) + 127) >> 8


# --- TensorFlow Lite: gemmlowp's series in 16 bits ------------------------------------------------


def _mul(a: ArrayLike, b: ArrayLike) -> Int64:
    """High 16 bits of twice a product, rounded to nearest, halves up, saturated."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum((product + (1 << 14)) >> 15, INT16_MAX)


def _constant(q31: int) -> Int64:
    """A 32-bit constant of gemmlowp in 16 bits."""
    return rounding_divide_by_pot(q31, 16)


# exp(-2**k) in Q0.31 for k = -2 … 4.
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp_between_minus_quarter_and_zero(a: Int64) -> Int64:
    """exp(a) for a in [-1/4, 0): Taylor's series to the 4th power around -1/8."""
    constant_term, one_third = _constant(1895147668), _constant(715827883)
    x = a + (1 << 12)
    x2 = _mul(x, x)
    x3 = _mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(_mul(x2, x2), 2)
    tail = rounding_divide_by_pot(_mul(x4_over_4 + x3, one_third) + x2, 1)
    return saturate_int16(constant_term + _mul(constant_term, x + tail))


def _exp_on_negative_values(a: Int64, integer_bits: int) -> Int64:
    """exp(a) in Q0.15 of non-positive a with the given number of integer bits."""
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    a_mod_quarter = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(a_mod_quarter << integer_bits)
    remainder = a_mod_quarter - a
    for k, factor in zip(range(-2, min(integer_bits, 5)), _EXP_OF_MINUS_POWERS, strict=False):
        bit = (remainder >> (fraction_bits + k)) & 1
        result = np.where(bit, _mul(result, _constant(factor)), result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (20 - integer_bits)), 0, result)
    return np.where(a == 0, INT16_MAX, result)


def _reciprocal_of_half(a: Int64) -> Int64:
    """2 / (1 + a) in Q2.13 for a in [0, 1): three Newton-Raphson steps."""
    half_denominator = (a + INT16_MAX + 1) // 2
    x = _constant(1515870810) + _mul(half_denominator, _constant(-1010580540))
    for _ in range(3):
        error = (1 << 13) - _mul(half_denominator, x)
        x = x + saturate_int16(_mul(x, error) << 2)
    return x


def series_sigmoid(x: ArrayLike) -> Int64:
    """sigmoid of Q3.12 int16 values, Q0.15 (gemmlowp's ``logistic``)."""
    return _every_sigmoid()[np.asarray(x, np.int64) - INT16_MIN]


def series_tanh(x: ArrayLike, integer_bits: int) -> Int64:
    """tanh of int16 values with 0 to 6 integer bits, Q0.15 (gemmlowp's ``tanh``)."""
    return _every_tanh(integer_bits)[np.asarray(x, np.int64) - INT16_MIN]


@functools.cache
def _every_sigmoid() -> Int64:
    """The result for each int16, from the lowest on: looking it up is far faster."""
    x = np.arange(INT16_MIN, INT16_MAX + 1)
    exponential = _exp_on_negative_values(-np.minimum(np.abs(x), -INT16_MIN), 3)
    positive = saturate_int16(_reciprocal_of_half(exponential) << 1)
    return np.where(x == 0, 1 << 14, np.where(x > 0, positive, INT16_MAX - positive))


@functools.cache
def _every_tanh(integer_bits: int) -> Int64:
    x = np.arange(INT16_MIN, INT16_MAX + 1)
    exponential = _exp_on_negative_values(-np.abs(x), integer_bits + 1)
    magnitude = saturate_int16((_reciprocal_of_half(exponential) - (1 << 13)) << 2)
    return np.where(x == 0, 0, np.where(x < 0, -magnitude, magnitude))
