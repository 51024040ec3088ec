"""The arithmetic of float ends: in numpy against its definition, and in C against numpy."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.float_io import MAX_STEPS, is_defined, random_float_feeds
from edgecnn.parity import verify
from firmware_export import c_writer
from firmware_export.c_writer import to_c
from firmware_export.runners import host_c, numpy_simulator
from firmware_export.toolchain import STRICT_FLAGS, compile_c, host_compiler
from tests.command_line import small_int8
from tests.float_ends import EXTREME_SCALES, around_every_tie, exported, write_float_c
from tests.ops.case_table import PROVENANCE

# --- the definition ---------------------------------------------------------------------------


def exact_quantize(x: np.float32, scale: np.float32, zero_point: int) -> int:
    """The definition in rational numbers, after the one rounding of the float32 division."""
    quotient = Fraction(float(x / scale))
    magnitude = (abs(quotient) + Fraction(1, 2)).__floor__()
    steps = magnitude if quotient >= 0 else -magnitude
    return max(-128, min(127, steps + zero_point))


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
scales = st.floats(min_value=2.0**-140, max_value=2.0**99, width=32, exclude_min=True)
zero_points = st.integers(-128, 127)


@settings(max_examples=500, deadline=None)
@given(floats, scales, zero_points)
def test_quantize_is_its_definition(x: float, scale: float, zero_point: int) -> None:
    with np.errstate(over="ignore"):
        quotient = np.float32(x) / np.float32(scale)
    if np.isfinite(quotient):
        expected = exact_quantize(np.float32(x), np.float32(scale), zero_point)
    else:
        expected = 127 if x > 0 else -128
    assert int(quantize(np.float32(x), scale, zero_point)) == expected


@settings(max_examples=500, deadline=None)
@given(st.integers(-300, 300), st.integers(-60, 60), zero_points, st.integers(-1, 1))
def test_ties_go_away_from_zero(steps: int, exponent: int, zero_point: int, side: int) -> None:
    """Scales that are powers of two make ties exact; a neighbour is no tie."""
    scale = 2.0**exponent
    tie = np.float32((steps + 0.5) * scale)
    expected = steps + 1 if steps >= 0 else steps
    if side:
        tie = np.nextafter(tie, np.float32(side * np.inf))
        expected = steps + (side > 0)
    got = int(quantize(tie, scale, zero_point))
    assert got == max(-128, min(127, expected + zero_point))


@settings(max_examples=300, deadline=None)
@given(st.integers(-128, 127), scales, zero_points)
def test_what_comes_out_goes_in_again(q: int, scale: float, zero_point: int) -> None:
    """DEQUANTIZE, then QUANTIZE: the same byte; and the float is the nearest to the product."""
    real = dequantize(np.int8(q), scale, zero_point)
    assert real.dtype == np.float32
    assert float(real) == float(np.float32(float(np.float32(scale)) * (q - zero_point)))
    assert int(quantize(real, scale, zero_point)) == q


def test_nan_and_what_int32_cannot_hold_is_defined() -> None:
    """What Arm's conversion gives. TFLite leaves it undefined, so it is never compared."""
    odd = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 2.0**31, -(2.0**31)], np.float32)
    with np.errstate(all="raise"):
        got = quantize(odd, 0.5, 7)
    assert got.tolist() == [7, 127, -128, 127, -128, 127, -128]
    assert not is_defined(odd[:1], 0.5)
    assert not is_defined(np.array([2.0**30], np.float32), 0.5)
    assert is_defined(np.array([MAX_STEPS / 2, -MAX_STEPS / 2], np.float32), 0.5)


# --- the C ------------------------------------------------------------------------------------

KERNEL_LIBRARY = """
#include "edgecnn_float_io.h"
void run(const float *x, float scale, int32_t zero_point, uint32_t n, int8_t *q, float *y) {
    edgecnn_quantize(x, scale, zero_point, n, q);
    edgecnn_dequantize(q, scale, zero_point, n, y);
}
"""


@pytest.mark.parametrize("sanitized", [False, True])
def test_the_kernel_on_any_bits(sanitized: bool, tmp_path: Path) -> None:
    """Any float32 there is, NaNs and infinities too, gives the bits of the numpy definition."""
    compiler: tuple[str, ...] = host_compiler()
    flags = ["-std=c99", "-O2"]
    if sanitized:
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        compiler = ("gcc",)
        checks = "-fsanitize=undefined,float-divide-by-zero,float-cast-overflow"
        flags += [checks, "-fsanitize-undefined-trap-on-error"]
    for file, text in c_writer.kernel_files(["float_io"]).items():
        (tmp_path / file).write_text(text)
    (tmp_path / "kernel.c").write_text(KERNEL_LIBRARY)
    compile_c(compiler, [*flags, "-fPIC", "-shared", "kernel.c", "-o", "kernel.so"], tmp_path)
    run = ctypes.CDLL(str(tmp_path / "kernel.so")).run
    pointer, word = ctypes.c_void_p, ctypes.c_int32
    run.argtypes = [pointer, ctypes.c_float, word, ctypes.c_uint32, pointer, pointer]
    rng = np.random.default_rng(17)
    specials = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45], np.float32)
    for scale in (*EXTREME_SCALES, *(2.0 ** rng.uniform(-30, 30, 12))):
        for zero_point in (-128, 0, 127, int(rng.integers(-128, 128))):
            bits = rng.integers(0, 1 << 32, 2000, dtype=np.uint32).view(np.float32)
            x = np.concatenate([bits, specials, around_every_tie(scale, zero_point)])
            q, y = np.empty(x.size, np.int8), np.empty(x.size, np.float32)
            run(x.ctypes.data, scale, zero_point, x.size, q.ctypes.data, y.ctypes.data)
            with np.errstate(invalid="ignore"):
                np.testing.assert_array_equal(q, quantize(x, scale, zero_point))
            expected = dequantize(q, scale, zero_point)
            np.testing.assert_array_equal(y.view(np.int32), expected.view(np.int32))


def test_nan_is_the_same_in_numpy_and_c(tmp_path: Path) -> None:
    graph = small_int8()
    feeds = random_float_feeds(graph, 5, 3)
    x = feeds[graph.inputs[0]]
    x.reshape(-1)[::7] = np.nan
    x.reshape(-1)[::11] = np.inf
    x.reshape(-1)[::13] = -np.inf
    runners = (numpy_simulator.RUNNER, host_c.RUNNER)
    assert verify(exported(graph, tmp_path), runners, feeds).passed


def test_the_c_compiles_strictly_and_without_a_library(tmp_path: Path) -> None:
    graph = small_int8()
    write_float_c(graph, tmp_path)
    extra = ["-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wstrict-prototypes"]
    flags = [*STRICT_FLAGS, *extra, "-O2", "-ffreestanding", "-c"]
    source = f"{graph.name}.c"
    compile_c(host_compiler(), [*flags, source, "-o", "out.o"], tmp_path)
    texts = "".join((tmp_path / p.name).read_text() for p in tmp_path.glob("*.[ch]"))
    assert set(re.findall(r"#include <([^>]*)>", texts)) <= {"stdint.h", "stddef.h"}
    if shutil.which("nm"):
        command = ["nm", "-u", "out.o"]
        listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        called = set(re.findall(r"U (\w+)", listed.stdout))
        own = {name for name in called if name.startswith(f"{graph.name}_")}
        assert called - own <= {"memcpy", "memset"}


def test_without_the_option_there_is_no_float(tmp_path: Path) -> None:
    files = to_c(small_int8(), "small", PROVENANCE).files
    assert "edgecnn_float_io.h" not in files
    assert not any(re.search(r"\bfloat\b", text) for text in files.values())
