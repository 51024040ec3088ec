"""The rescaling of int64 sums: against integers of any size, and against its twin in C."""

from __future__ import annotations

import ctypes
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgecnn import fixedpoint as fx
from edgecnn.ir import Array
from firmware_export.c_writer import kernel_files
from firmware_export.toolchain import STRICT_FLAGS, compile_c, host_compiler

RNG = np.random.default_rng(0)
#: Multipliers of 31 bits, about where they are rounded and saturated.
MULTIPLIERS = [
    1 << 30, (1 << 30) + (1 << 15) - 1, (1 << 30) + (1 << 15), 0x7FFEFFFF, 0x7FFF0000, 0x7FFF7FFF,
    (1 << 31) - 1, *(int(m) for m in RNG.integers(1 << 30, 1 << 31, 40)),
]  # fmt: skip
SUMS = [
    0, 1, -1, (1 << 47) - 1, -(1 << 47), *(sign << k for k in range(1, 46) for sign in (1, -1)),
    *(int(x) for x in RNG.integers(-(1 << 47), 1 << 47, 100)),
    *(int(x) for x in RNG.integers(-(1 << 22), 1 << 22, 100)),
]  # fmt: skip
SHIFTS = range(-31, 8)


def reduced(multiplier: int) -> int:
    """The high 16 bits of a multiplier to the nearest, halves up, no more than int16 holds."""
    return min(math.floor(Fraction(multiplier, 1 << 16) + Fraction(1, 2)), 32767)


def scaled(x: int, multiplier: int, shift: int) -> int:
    """``x * multiplier / 2**15 * 2**shift`` to the nearest, halves up."""
    return math.floor(Fraction(x * multiplier) * Fraction(2) ** (shift - 15) + Fraction(1, 2))


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_reduced_multipliers(multiplier: int) -> None:
    assert fx.to_int16_multiplier(multiplier) == reduced(multiplier)


@pytest.mark.parametrize("shift", SHIFTS)
def test_rescaling(shift: int) -> None:
    for multiplier in map(reduced, MULTIPLIERS):
        got = fx.multiply_by_reduced_multiplier(SUMS, multiplier, shift)
        assert got.tolist() == [scaled(x, multiplier, shift) for x in SUMS]


def test_halves_go_up() -> None:
    found = fx.multiply_by_reduced_multiplier([1, -1, 3, -3], 1 << 14, 0)
    assert found.tolist() == [1, 0, 2, -1]


SOURCE = """
#include "edgecnn_fixedpoint64.h"
void outputs(const int64_t *sums, const int32_t *multipliers, const int32_t *shifts, int32_t n,
             int16_t *output);
void outputs(const int64_t *sums, const int32_t *multipliers, const int32_t *shifts, int32_t n,
             int16_t *output) {
    for (int32_t i = 0; i < n; ++i) {
        output[i] = edgecnn_wide_output(sums[i], multipliers[i], shifts[i], 0, -32768, 32767);
    }
}
void products(const int8_t *weights, const int16_t *values, int32_t n, int32_t rows,
              int64_t *sums);
void products(const int8_t *weights, const int16_t *values, int32_t n, int32_t rows,
              int64_t *sums) {
    edgecnn_wide_products(weights, values, n, rows, sums);
}
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory = tmp_path_factory.mktemp("twin")
    for name, text in kernel_files(["fixedpoint64"]).items():
        (directory / name).write_text(text)
    (directory / "twin.c").write_text(SOURCE)
    flags = [*STRICT_FLAGS, "-O2", "-fPIC", "-shared", "twin.c", "-o", "twin.so"]
    compile_c(host_compiler(), flags, directory)
    return ctypes.CDLL(str(Path(directory) / "twin.so"))


def address(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def test_c_outputs(twin: ctypes.CDLL) -> None:
    """Of all sums whose scaled value int32 holds; larger ones are refused before."""
    grid = np.meshgrid(SUMS, [reduced(m) for m in MULTIPLIERS], SHIFTS)
    sums, multipliers, shifts = (axis.ravel().astype(np.int64) for axis in grid)
    exact = fx.multiply_by_reduced_multiplier(sums, multipliers, shifts)
    kept = np.abs(exact) <= fx.INT32_MAX
    sums, multipliers, shifts, exact = (a[kept] for a in (sums, multipliers, shifts, exact))
    got = np.zeros(sums.size, np.int16)
    columns = (sums, multipliers.astype(np.int32), shifts.astype(np.int32))
    twin.outputs(*map(address, columns), ctypes.c_int32(got.size), address(got))
    np.testing.assert_array_equal(got, np.clip(exact, -32768, 32767))


@pytest.mark.parametrize("count", [1, 3, 255, 256, 257, 512, 1000])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_c_products(count: int, rows: int, twin: ctypes.CDLL) -> None:
    """Random ones, and those of the largest sums."""
    for low, high in ((-128, 127), (-128, -128)):
        weights = RNG.integers(low, high + 1, (rows, count)).astype(np.int8)
        values = RNG.integers(-32768, 1 if low == high else 32768, count).astype(np.int16)
        if low == high:
            values[:] = -32768
        sums = np.arange(rows, dtype=np.int64)
        expected = sums + weights.astype(np.int64) @ values.astype(np.int64)
        twin.products(
            address(weights), address(values), ctypes.c_int32(count), ctypes.c_int32(rows),
            address(sums),
        )  # fmt: skip
        np.testing.assert_array_equal(sums, expected)
