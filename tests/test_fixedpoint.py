"""The arithmetic itself, against big integers, against its twin in C, and against CMSIS-NN."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import fixedpoint as fx
from edgecnn.ir import Array
from firmware_export.c_writer import kernel_files
from firmware_export.toolchain import STRICT_FLAGS, compile_c, host_compiler

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
BOUNDARIES = sorted(
    {
        value
        for k in range(32)
        for value in (1 << k, (1 << k) - 1, (1 << k) + 1, -(1 << k), 1 - (1 << k), -1 - (1 << k))
        if INT32_MIN <= value <= INT32_MAX
    }
    | {0, INT32_MIN, INT32_MIN + 1, INT32_MAX, 3 << 29, -(3 << 29)}
)
MULTIPLIERS = (0, 1 << 30, (1 << 30) + 1, 1518500250, 1895147668, INT32_MAX - 1, INT32_MAX)
SHIFTS = range(-31, 32)


# --- the definition, in integers of any size ---------------------------------------------------


def nearest(value: Fraction, half_away: bool) -> int:
    """The nearest integer; halves away from zero, or up."""
    if half_away and value < 0:
        return -nearest(-value, True)
    return math.floor(value + Fraction(1, 2))


def wrapped(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def high_mul(a: int, b: int) -> int:
    """2ab / 2**32 rounded, saturated: gemmlowp nudges towards the sign, then truncates.

    A negative product at a half is nudged by 1 - 2**30, so it goes up, as a positive one does.
    """
    return min(nearest(Fraction(a * b, 1 << 31), False), INT32_MAX)


def scaled(x: int, multiplier: int, shift: int) -> int:
    """Double rounding: the high product, then a division by a power of two."""
    product = high_mul(wrapped(x << max(shift, 0)), multiplier)
    return nearest(Fraction(product, 1 << max(-shift, 0)), True)


# --- numpy against the definition --------------------------------------------------------------


def interesting(seed: int, count: int) -> list[int]:
    rng = np.random.default_rng(seed)
    spread = rng.integers(INT32_MIN, 1 << 31, count) >> rng.integers(0, 31, count)
    return [*BOUNDARIES, *(int(x) for x in spread)]


def test_high_mul_of_boundaries() -> None:
    a, b = np.meshgrid(BOUNDARIES, BOUNDARIES)
    got = fx.saturating_rounding_doubling_high_mul(a, b)
    expected = [[high_mul(int(x), int(y)) for x in BOUNDARIES] for y in BOUNDARIES]
    np.testing.assert_array_equal(got, expected)


def test_high_mul_at_halves() -> None:
    """Products of exactly k + 1/2: positive and negative."""
    for k in (-5, -2, -1, 0, 1, 2, 5, 1000):
        a, b = 2 * k + 1, 1 << 30
        assert a * b * 2 == ((2 * k + 1) << 31)
        assert fx.saturating_rounding_doubling_high_mul(a, b) == k + 1


def test_high_mul_saturates() -> None:
    assert fx.saturating_rounding_doubling_high_mul(INT32_MIN, INT32_MIN) == INT32_MAX


@pytest.mark.parametrize("exponent", range(32))
def test_rounding_divide_by_pot(exponent: int) -> None:
    half = (1 << exponent) >> 1
    values = {*interesting(exponent, 200)}
    for k in range(-6, 7):  # around halves and whole multiples
        for d in (-1, 0, 1):
            values |= {(k << exponent) + half + d, (k << exponent) + d}
    xs = sorted(x for x in values if INT32_MIN <= x <= INT32_MAX)
    expected = [nearest(Fraction(x, 1 << exponent), True) for x in xs]
    np.testing.assert_array_equal(fx.rounding_divide_by_pot(xs, exponent), expected)


@pytest.mark.parametrize("shift", SHIFTS)
def test_multiply_by_quantized_multiplier(shift: int) -> None:
    xs = interesting(shift + 100, 150)
    for multiplier in (
        *MULTIPLIERS,
        *np.random.default_rng(shift + 50).integers(1 << 30, 1 << 31, 5),
    ):
        expected = [scaled(x, int(multiplier), shift) for x in xs]
        got = fx.multiply_by_quantized_multiplier(xs, multiplier, shift)
        np.testing.assert_array_equal(got, expected)


def test_multiply_broadcasts_over_channels() -> None:
    x = np.arange(-50, 50).reshape(10, 10) * 12345
    multipliers, shifts = fx.quantize_multipliers(np.geomspace(1e-4, 3.0, 10))
    got = fx.multiply_by_quantized_multiplier(x, multipliers, shifts)
    expected = [
        [scaled(int(v), int(m), int(s)) for v, m, s in zip(row, multipliers, shifts, strict=True)]
        for row in x
    ]
    np.testing.assert_array_equal(got, expected)


def test_double_rounding_is_not_single_rounding() -> None:
    """At a right shift of 1, an eighth to a quarter of all values differ from one rounding."""
    xs = np.arange(-20000, 20000)
    multiplier, shift = fx.quantize_multiplier(0.3)
    single = [nearest(Fraction(int(x) * multiplier, 1 << 31 - shift), True) for x in xs]
    differing = np.count_nonzero(
        fx.multiply_by_quantized_multiplier(xs, multiplier, shift) != single
    )
    assert 0.1 < differing / len(xs) < 0.3


def test_requantize_every_clamp() -> None:
    acc = np.arange(-70000, 70000, 7)
    multiplier, shift = fx.quantize_multiplier(0.0123)
    for zero_point, low, high in ((0, -128, 127), (-128, -128, 127), (127, 0, 100), (5, 5, 5)):
        got = fx.requantize(acc, multiplier, shift, zero_point, low, high)
        expected = [
            min(max(scaled(int(x), multiplier, shift) + zero_point, low), high) for x in acc
        ]
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.int8


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9, 49, 64])
def test_divide_round_half_away(count: int) -> None:
    totals = np.arange(-128 * count, 128 * count + 1)
    expected = [nearest(Fraction(int(t), count), True) for t in totals]
    np.testing.assert_array_equal(fx.divide_round_half_away(totals, count), expected)


# --- multipliers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (0.5, (1 << 30, 0)),
        (1.0, (1 << 30, 1)),
        (2.0**30, (1 << 30, 31)),
        (0.75, (3 << 29, 0)),
        (1 - 2.0**-32, (1 << 30, 1)),  # 2**31 - 1/2 rounds to 2**31: the carry
        (1 - 2.0**-31, (INT32_MAX, 0)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-32 * (1 - 2.0**-32), (1 << 30, -31)),  # the carry saves it from the underflow
        (2.0**-32 * (1 - 2.0**-31), (0, 0)),
        (2.0**-33, (0, 0)),
        (5e-324, (0, 0)),
    ],
)
def test_quantize_multiplier(real: float, expected: tuple[int, int]) -> None:
    assert fx.quantize_multiplier(real) == expected


def test_quantize_multiplier_is_the_nearest() -> None:
    rng = np.random.default_rng(3)
    for real in np.exp2(rng.uniform(-31, 20, 2000)):
        multiplier, shift = fx.quantize_multiplier(float(real))
        assert 1 << 30 <= multiplier < 1 << 31
        exact = Fraction(float(real)) * Fraction(2) ** (31 - shift)
        assert abs(exact - multiplier) <= Fraction(1, 2)


def test_quantize_multipliers_of_channels() -> None:
    multipliers, shifts = fx.quantize_multipliers([0.5, 0.0, 3.0])
    assert multipliers.dtype == shifts.dtype == np.int32
    assert list(zip(multipliers, shifts, strict=True)) == [(1 << 30, 0), (0, 0), (3 << 29, 2)]


@pytest.mark.parametrize(
    ("largest", "shift", "overflows"),
    [
        (INT32_MAX, 0, False),
        (INT32_MAX, 1, True),
        (INT32_MAX, -5, False),
        (1, 30, False),
        (1, 31, True),
        (0, 40, False),
        (1, 1000, True),
    ],
)
def test_scaling_overflows(largest: int, shift: int, overflows: bool) -> None:
    assert fx.scaling_overflows(largest, shift) is overflows


# --- reals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.49999999999999994, 0),
        (-0.49999999999999994, 0),
        (0.5, 1),
        (-0.5, -1),
        (1.5, 2),
        (2.5, 3),
        (-2.5, -3),
        (2.0**52 + 1, 2**52 + 1),
        (-(2.0**53), -(2**53)),
        (1e300, 1e300),
        (-np.inf, -np.inf),
    ],
)
def test_round_half_away(x: float, expected: float) -> None:
    assert fx.round_half_away(x) == expected


def test_round_half_away_of_float32() -> None:
    x = np.array([0.49999997, 0.5, 8388607.5, -8388607.5], np.float32)
    np.testing.assert_array_equal(fx.round_half_away(x), [0, 1, 8388608, -8388608])


def test_quantize_and_dequantize_every_byte() -> None:
    q = np.arange(-128, 128).astype(np.int8)
    for scale, zero_point in ((0.1, 0), (1e-6, -128), (37.5, 127), (1 / 3, -7)):
        reals = fx.dequantize(q, scale, zero_point)
        assert reals.dtype == np.float32
        np.testing.assert_array_equal(fx.quantize(reals, scale, zero_point), q)


def test_quantize_saturates() -> None:
    got = fx.quantize([-np.inf, -1e30, 1e30, np.inf], 0.1, 3)
    np.testing.assert_array_equal(got, [-128, -128, 127, 127])


# --- gemmlowp's functions ----------------------------------------------------------------------


def test_exp_on_negative_values_is_near_exp() -> None:
    a = np.concatenate([-np.arange(0, 1 << 31, 999_983), -np.arange(0, 2000)])
    got = fx.exp_on_negative_values(a, 5) / 2.0**31
    np.testing.assert_allclose(got, np.exp(a / 2.0**26), rtol=0, atol=4e-7)
    assert fx.exp_on_negative_values(0, 5) == INT32_MAX


def test_one_over_one_plus_x_is_near_it() -> None:
    a = np.arange(0, 1 << 31, 777_777)
    got = fx.one_over_one_plus_x(a) / 2.0**31
    np.testing.assert_allclose(got, 1 / (1 + a / 2.0**31), rtol=0, atol=4e-9)


def test_count_leading_zeros() -> None:
    for k in range(32):
        assert fx.count_leading_zeros_32(1 << k) == 31 - k
        assert fx.count_leading_zeros_32((1 << (k + 1)) - 1) == 31 - k


# --- the twin in C -----------------------------------------------------------------------------

HARNESS = """
#include "edgecnn_softmax.h"
#define EACH(name, call) \\
    void name(const int32_t *a, const int32_t *b, const int32_t *c, int32_t n, int32_t *out) { \\
        (void)b; (void)c; \\
        for (int32_t i = 0; i < n; ++i) { out[i] = call; } \\
    }
EACH(high_mul, edgecnn_doubling_high_mul(a[i], b[i]))
EACH(divide_by_pot, edgecnn_rounding_divide_by_pot(a[i], b[i]))
EACH(scale, edgecnn_scale(a[i], b[i], c[i]))
EACH(requantize, edgecnn_requantize(a[i], b[i], c[i], -7, -100, 100))
EACH(divide_rounding, edgecnn_divide_rounding(a[i], b[i]))
EACH(exponential, edgecnn_softmax_exp(a[i]))
EACH(reciprocal, edgecnn_softmax_reciprocal(a[i]))
EACH(leading_zeros, edgecnn_softmax_leading_zeros((uint32_t)a[i]))
"""

Twin = Callable[..., Array]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Twin]:
    """Functions of the kernels' fixedpoint.h and softmax.h, over int32 arrays."""
    directory = tmp_path_factory.mktemp("twin")
    for name, text in kernel_files(["softmax"]).items():
        (directory / name).write_text(text)
    (directory / "twin.c").write_text(HARNESS)
    flags = [*STRICT_FLAGS, "-O2", "-fPIC", "-shared", "twin.c", "-o", "twin.so"]
    compile_c(host_compiler(), flags, directory)
    library = ctypes.CDLL(str(directory / "twin.so"))

    def function(name: str) -> Twin:
        def call(*operands: Any) -> Array:
            columns = [np.ascontiguousarray(o, np.int32) for o in np.broadcast_arrays(*operands)]
            out = np.empty(columns[0].shape, np.int32)
            pointers = [c.ctypes.data_as(ctypes.c_void_p) for c in columns]
            pointers += [None] * (3 - len(pointers))  # type: ignore[list-item]
            out_pointer = out.ctypes.data_as(ctypes.c_void_p)
            library[name](*pointers, ctypes.c_int32(out.size), out_pointer)
            return out

        return call

    return function


def int32s(seed: int, count: int) -> Array:
    """Boundaries, and numbers of every magnitude."""
    rng = np.random.default_rng(seed)
    spread = rng.integers(INT32_MIN, 1 << 31, count) >> rng.integers(0, 31, count)
    return np.concatenate([np.array(BOUNDARIES), spread])


def test_c_high_mul(twin: Callable[[str], Twin]) -> None:
    a, b = int32s(1, 2_000_000), int32s(2, 2_000_000)[::-1]
    expected = fx.saturating_rounding_doubling_high_mul(a, b)
    np.testing.assert_array_equal(twin("high_mul")(a, b), expected)
    grid = np.meshgrid(BOUNDARIES, BOUNDARIES[1:])  # INT32_MIN squared is outside of its domain
    assert BOUNDARIES[0] == INT32_MIN
    expected = fx.saturating_rounding_doubling_high_mul(*grid)
    np.testing.assert_array_equal(twin("high_mul")(*grid), expected)


def test_c_divide_by_pot(twin: Callable[[str], Twin]) -> None:
    x = int32s(3, 100_000)[:, None]
    exponents = np.arange(32)
    expected = fx.rounding_divide_by_pot(x, exponents)
    np.testing.assert_array_equal(twin("divide_by_pot")(x, exponents), expected)


@pytest.mark.parametrize("name", ["scale", "requantize"])
def test_c_scale(name: str, twin: Callable[[str], Twin]) -> None:
    x = int32s(4, 40_000)[:, None]
    shifts = np.arange(-31, 31)
    rng = np.random.default_rng(5)
    for multiplier in (*MULTIPLIERS, int(rng.integers(1 << 30, 1 << 31))):
        got = twin(name)(x, multiplier, shifts)
        expected = fx.multiply_by_quantized_multiplier(x, multiplier, shifts)
        if name == "requantize":
            expected = np.clip(expected - 7, -100, 100)
        np.testing.assert_array_equal(got, expected)


def test_c_divide_rounding(twin: Callable[[str], Twin]) -> None:
    total, count = np.meshgrid(np.arange(-3000, 3001), np.arange(1, 200))
    expected = fx.divide_round_half_away(total, count)
    np.testing.assert_array_equal(twin("divide_rounding")(total, count), expected)


def test_c_exponential(twin: Callable[[str], Twin]) -> None:
    a = -np.concatenate([np.arange(0, 1 << 31, 1021), np.arange(0, 100_000), [1 << 31]])
    np.testing.assert_array_equal(twin("exponential")(a), fx.exp_on_negative_values(a, 5))


def test_c_reciprocal(twin: Callable[[str], Twin]) -> None:
    a = np.concatenate([np.arange(0, 1 << 31, 1021), np.arange(0, 100_000), [INT32_MAX]])
    np.testing.assert_array_equal(twin("reciprocal")(a), fx.one_over_one_plus_x(a))


def test_c_leading_zeros(twin: Callable[[str], Twin]) -> None:
    x = np.array([b for b in BOUNDARIES if b > 0])
    np.testing.assert_array_equal(twin("leading_zeros")(x), fx.count_leading_zeros_32(x))


@pytest.mark.slow
def test_c_scale_of_many(twin: Callable[[str], Twin]) -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        x = rng.integers(INT32_MIN, 1 << 31, 2_000_000)
        multipliers = rng.integers(1 << 30, 1 << 31, x.size)
        shifts = rng.integers(-31, 31, x.size)
        expected = fx.multiply_by_quantized_multiplier(x, multipliers, shifts)
        np.testing.assert_array_equal(twin("scale")(x, multipliers, shifts), expected)


def test_c_file_names_no_header_of_its_own(tmp_path: Path) -> None:
    """The only headers are the two that every freestanding compiler has."""
    for text in kernel_files(["softmax"]).values():
        system = [
            line.split("<")[1].rstrip(">") for line in text.splitlines() if "#include <" in line
        ]
        assert set(system) <= {"stdint.h", "stddef.h"}
