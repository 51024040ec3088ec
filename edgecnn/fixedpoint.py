"""The arithmetic of TensorFlow Lite's integer kernels. Nothing else in Python rounds.

Every function works on scalars and arrays. The names are those of gemmlowp
(``fixedpoint/fixedpoint.h``) and of TensorFlow Lite (``kernels/internal/common.cc``,
``kernels/internal/quantization_util.cc``), which are the specification. The twin in C is
``firmware_export/kernels/fixedpoint.h``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
INT16_MIN = -(1 << 15)
INT16_MAX = (1 << 15) - 1
INT8_MIN = -128
INT8_MAX = 127

Int64 = NDArray[np.int64]


def code_limits(dtype: str) -> tuple[int, int]:
    """Lowest and highest value of an integer type by its name, such as ``"int16"``."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def round_half_away(x: ArrayLike) -> NDArray[Any]:
    """Round to the nearest integer, halves away from zero, as C's ``round``."""
    reals = np.asarray(x)
    if reals.dtype.kind != "f":
        reals = reals.astype(np.float64)
    # Not the half itself: with it the sum of what is nearest below a half would be 1.
    below_half = np.nextafter(reals.dtype.type(0.5), reals.dtype.type(0))
    rounded = np.copysign(below_half, reals)
    rounded += reals
    return np.trunc(rounded) + 0  # no negative zero


def round_half_even(x: ArrayLike) -> NDArray[Any]:
    """Round to the nearest integer, halves to even: what torch, ONNX and TFLite call round."""
    rounded: NDArray[Any] = np.rint(x)
    return rounded


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split a real multiplier into a 31-bit integer and a power of two.

    ``real ≈ multiplier / 2**31 * 2**shift`` with ``2**30 <= multiplier < 2**31``. Multipliers
    under about 2**-32 become (0, 0). Source: TFLite's ``QuantizeMultiplier``.

    >>> quantize_multiplier(0.5), quantize_multiplier(1.0)
    ((1073741824, 0), (1073741824, 1))
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = int(round_half_away(fraction * (1 << 31)))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def quantize_multipliers(real: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """`quantize_multiplier` of each element: (multipliers, shifts), both int32."""
    pairs = [quantize_multiplier(float(value)) for value in np.atleast_1d(np.asarray(real))]
    multipliers, shifts = zip(*pairs, strict=True)
    return np.array(multipliers, np.int32), np.array(shifts, np.int32)


def wrap_int32(x: ArrayLike) -> Int64:
    """Keep the low 32 bits as a signed number, as the machine does."""
    low = np.asarray(x, np.int64) & 0xFFFFFFFF
    return np.where(low >= 1 << 31, low - (1 << 32), low)


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike) -> Int64:
    """High 32 bits of ``2 * a * b``, rounded to nearest, halves up.

    Source: gemmlowp's ``SaturatingRoundingDoublingHighMul``. Its nudge of ``2**30`` towards the
    product's sign followed by a truncating division by ``2**31`` is, for either sign, the floor
    of ``(a * b + 2**30) / 2**31``. INT32_MIN squared saturates.
    """
    a = np.asarray(a, np.int64)
    b = np.asarray(b, np.int64)
    return np.minimum((a * b + (1 << 30)) >> 31, INT32_MAX)


def rounding_doubling_high_mul_16(a: ArrayLike, b: ArrayLike) -> Int64:
    """High 16 bits of ``2 * a * b``, rounded to nearest, halves up (gemmlowp, 16 bits)."""
    a = np.asarray(a, np.int64)
    return np.minimum((a * np.asarray(b, np.int64) + (1 << 14)) >> 15, INT16_MAX)


def doubling_high_mul_16(a: ArrayLike, b: ArrayLike) -> Int64:
    """High 16 bits of ``2 * a * b``, truncated towards 0 (TFLite's ``hard_swish.h``)."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum(np.sign(product) * (np.abs(product) >> 15), INT16_MAX)


def to_int16_multiplier(multiplier: int) -> int:
    """High half of a 31-bit multiplier, rounded and saturated.

    Source: TFLite's ``DownScaleInt32ToInt16Multiplier``.
    """
    return INT16_MAX if multiplier >= INT32_MAX - (1 << 15) else (multiplier + (1 << 15)) >> 16


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Int64:
    """Divide by ``2**exponent``, rounded to nearest, halves away from zero (gemmlowp)."""
    x = np.asarray(x, np.int64)
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + (remainder > threshold)


def saturating_shift_left(x: ArrayLike, exponent: int) -> Int64:
    """Multiply by ``2**exponent`` and saturate to int32 (gemmlowp's positive-exponent case)."""
    return np.clip(np.asarray(x, np.int64) << exponent, INT32_MIN, INT32_MAX)


def multiply_by_quantized_multiplier(
    x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike
) -> Int64:
    """Scale int32 accumulators by ``multiplier / 2**31 * 2**shift`` with double rounding.

    Source: TFLite's ``MultiplyByQuantizedMultiplier`` as TFLite Micro and CMSIS-NN build it.
    The left shift wraps to 32 bits, as theirs does. Arrays broadcast.
    """
    shift = np.asarray(shift, np.int64)
    left = np.maximum(shift, 0)
    right = np.maximum(-shift, 0)
    shifted = wrap_int32(np.asarray(x, np.int64) << left)
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)


def multiply_by_reduced_multiplier(x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Int64:
    """Scale int64 accumulators by ``multiplier / 2**15 * 2**shift``, halves up.

    Source: TFLite's ``MultiplyByQuantizedMultiplier`` of int64, which reduces the multiplier to
    16 bits (`to_int16_multiplier`) and rounds once. Shifts are -31 to 7, ``|x|`` is under 2**47.
    """
    right = 15 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    return (product + (np.int64(1) << (right - 1))) >> right


def scaling_overflows(largest: ArrayLike, shift: ArrayLike) -> bool:
    """Whether accumulators of up to some magnitudes leave int32 when they are scaled.

    `multiply_by_quantized_multiplier` shifts left first. What the shift loses is undefined
    behaviour in TFLite's kernels, so nothing that can lose it has bytes to agree on.
    """
    room = np.int64(INT32_MAX) >> np.clip(np.asarray(shift, np.int64), 0, 32)
    return bool(np.any(np.asarray(largest, np.int64) > room))


def saturate_int8(x: ArrayLike, low: int = INT8_MIN, high: int = INT8_MAX) -> NDArray[np.int8]:
    """Clamp to ``[low, high]`` and narrow to int8."""
    return np.clip(x, low, high).astype(np.int8)


def requantize(
    acc: ArrayLike,
    multiplier: ArrayLike,
    shift: ArrayLike,
    zero_point: int,
    low: int = INT8_MIN,
    high: int = INT8_MAX,
    dtype: str = "int8",
) -> NDArray[Any]:
    """Scale int32 accumulators, add the output zero point, clamp, narrow to ``dtype``."""
    scaled = multiply_by_quantized_multiplier(acc, multiplier, shift)
    return np.clip(scaled + zero_point, low, high).astype(dtype)


def divide_round_half_away(total: ArrayLike, count: ArrayLike) -> Int64:
    """Divide integers, rounded to nearest, halves away from zero (average pooling)."""
    total = np.asarray(total, np.int64)
    count = np.asarray(count, np.int64)
    magnitude = (np.abs(total) + count // 2) // count
    return np.where(total > 0, magnitude, -magnitude)


def quantize(x: ArrayLike, scale: float, zero_point: int, dtype: str = "int8") -> NDArray[Any]:
    """Quantize reals to int8 or int16: ``clamp(round(x / scale) + zero_point)``.

    Division in float32 and halves away from zero, as TFLite's ``AffineQuantize``. NaN counts as
    0 and infinities saturate, both of which that function leaves undefined.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold saturates
        quotient = np.asarray(x, np.float32) / np.float32(scale)
        has_nan = np.isnan(quotient.sum())  # or infinities of both signs
    if has_nan:
        quotient = np.where(np.isnan(quotient), np.float32(0), quotient)
    return np.clip(round_half_away(quotient) + zero_point, *code_limits(dtype)).astype(dtype)


def quantize_exactly(x: ArrayLike, scale: float, zero_point: int) -> NDArray[np.int8]:
    """`quantize` with the division in double: entries of tables. Infinities saturate."""
    steps = round_half_away(np.asarray(x, np.float64) / scale)
    return saturate_int8(steps + zero_point)


def dequantize(q: ArrayLike, scale: float, zero_point: int) -> NDArray[np.float32]:
    """Reals that int8 values stand for: ``scale * (q - zero_point)``, float32."""
    return (np.float32(scale) * (np.asarray(q, np.int32) - zero_point)).astype(np.float32)


def dequantize_exactly(q: ArrayLike, scale: float, zero_point: int) -> NDArray[np.float64]:
    """`dequantize` in double."""
    return scale * (np.asarray(q, np.float64) - zero_point)


def round_and_clamp(x: ArrayLike, low: int, high: int) -> Int64:
    """Round reals (halves away from zero) and clamp to an integer range: weights and biases."""
    return np.clip(round_half_away(np.asarray(x, np.float64)), low, high).astype(np.int64)


# --- gemmlowp's fixed-point functions, Q0.31 unless noted -------------------------------------


def _exp_between_minus_quarter_and_zero(a: Int64) -> Int64:
    """exp(a) for a in [-1/4, 0): Taylor's series to the 4th power around -1/8."""
    mul = saturating_rounding_doubling_high_mul
    constant_term = 1895147668  # exp(-1/8)
    one_third = 715827883
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3 = mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2)
    tail = rounding_divide_by_pot(mul(x4_over_4 + x3, one_third) + x2, 1)
    return constant_term + mul(constant_term, x + tail)


# exp(-2**k) in Q0.31 for k = -2 … 4.
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def exp_on_negative_values(a: ArrayLike, integer_bits: int = 5) -> Int64:
    """exp(a) in Q0.31 of non-positive a with the given number of integer bits (gemmlowp)."""
    a = np.asarray(a, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    a_mod_quarter = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(a_mod_quarter << integer_bits)
    remainder = a_mod_quarter - a
    for k, factor in zip(range(-2, integer_bits), _EXP_OF_MINUS_POWERS, strict=False):
        bit = (remainder >> (fraction_bits + k)) & 1
        result = np.where(bit, saturating_rounding_doubling_high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def one_over_one_plus_x(a: ArrayLike) -> Int64:
    """1 / (1 + a) in Q0.31 for a in [0, 1): three Newton-Raphson steps (gemmlowp)."""
    return saturating_shift_left(_reciprocal_of_half_sum(a), 1)


def _reciprocal_of_half_sum(a: ArrayLike) -> Int64:
    """2 / (1 + a) in Q2.29 for a in [0, 1)."""
    mul = saturating_rounding_doubling_high_mul
    total = np.asarray(a, np.int64) + INT32_MAX
    half_denominator = (total + 1) // 2  # RoundingHalfSum; the sum is never negative here
    x = 1515870810 + mul(half_denominator, -1010580540)  # 48/17 - 32/17 d, in Q2.29
    for _ in range(3):
        error = (1 << 29) - mul(half_denominator, x)
        x = x + saturating_shift_left(mul(x, error), 2)
    return x


def one_minus_x_over_one_plus_x(a: ArrayLike) -> Int64:
    """(1 - a) / (1 + a) in Q0.31 for a in [0, 1): three Newton-Raphson steps (gemmlowp)."""
    return saturating_shift_left(_reciprocal_of_half_sum(a) - (1 << 29), 2)


def logistic(a: ArrayLike, integer_bits: int) -> Int64:
    """1 / (1 + exp(-a)) in Q0.31 of a with the given number of integer bits (gemmlowp)."""
    a = np.asarray(a, np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: ArrayLike, integer_bits: int) -> Int64:
    """tanh(a) in Q0.31 of a with the given number of integer bits (gemmlowp)."""
    a = np.asarray(a, np.int64)
    # The same raw value with one integer bit more stands for twice the number.
    power = exp_on_negative_values(-np.abs(a), integer_bits + 1)
    positive = one_minus_x_over_one_plus_x(power)
    return np.where(a == 0, 0, np.where(a > 0, positive, -positive))


def input_radius(integer_bits: int, left_shift: int) -> int:
    """Largest input whose scaled value fits a number of integer bits (``CalculateInputRadius``)."""
    largest = ((1 << integer_bits) - 1) * (1 << (31 - integer_bits))
    return math.floor(math.ldexp(largest, -left_shift))


def log_from_one(x: ArrayLike, integer_bits: int) -> Int64:
    """log(x) in Q5.26 of x from 1 up with the given number of integer bits.

    Padé's approximation around a power of the square root of 2. Source: TFLite's
    ``log_x_for_x_greater_than_or_equal_to_1`` (``kernels/internal/common.h``).
    """
    mul = saturating_rounding_doubling_high_mul
    x = np.asarray(x, np.int64)
    quarter = 1 << 23  # Q6.25
    sqrt_half, fourth_root_of_half = 1518500250, 1805811301
    zeros = count_leading_zeros_32(x)
    first = saturating_shift_left(mul(x << (zeros - 1), sqrt_half), 1)
    scaled_zeros = count_leading_zeros_32(mul(x, sqrt_half)) - 1
    second = np.minimum(x << scaled_zeros, INT32_MAX)
    r = np.minimum(first, second)
    power = np.maximum(
        ((integer_bits - zeros) << 25) + quarter, ((integer_bits - scaled_zeros) << 25) - quarter
    )
    p = (r + fourth_root_of_half + 1) // 2
    q = 2 * (r - fourth_root_of_half)
    square = mul(q, q)
    numerator = mul(q, r) + mul(mul(q, square), 117049297)
    denominator = mul(p, 1057819769 + q + mul(127690142, square)) + mul(638450708, q)
    fraction = mul(rounding_divide_by_pot(numerator, 6), one_over_one_plus_x(denominator))
    log_2 = 1488522236
    return saturating_shift_left(mul(power, log_2) + fraction, 1)


def inverse_square_root(x: ArrayLike) -> tuple[Int64, Int64]:
    """1 / sqrt(x) of non-negative int32 as multipliers and (left) shifts; 0 counts as 1.

    Five Newton-Raphson steps in Q3.28. Source: TFLite's ``GetInvSqrtQuantizedMultiplierExp``.
    """
    mul = saturating_rounding_doubling_high_mul
    given = np.maximum(np.asarray(x, np.int64), 2)
    too_large = np.maximum(0, (33 - count_leading_zeros_32(given) - 29) // 2)
    reduced = given >> (2 * too_large)
    pairs = (count_leading_zeros_32(reduced) - 1) // 2 - 1
    half = rounding_divide_by_pot((reduced << (2 * pairs)) >> 1, 1)
    one_and_a_half = (1 << 28) + (1 << 27)
    y = np.full(np.shape(half), 1 << 28, np.int64)
    for _ in range(5):
        cube = saturating_shift_left(mul(mul(y, y), y), 6)
        y = saturating_shift_left(mul(one_and_a_half, y) - mul(half, cube), 3)
    multiplier = mul(y, 1518500250)  # sqrt(2) / 2
    right = 11 + too_large - pairs
    multiplier = multiplier << np.maximum(0, -right)
    is_one = np.asarray(x, np.int64) <= 1
    return np.where(is_one, INT32_MAX, multiplier), np.where(is_one, 0, -np.maximum(0, right))


def count_leading_zeros_32(x: ArrayLike) -> Int64:
    """Leading zero bits of a positive 32-bit number."""
    return 32 - np.frexp(np.asarray(x, np.float64))[1].astype(np.int64)
