"""TFLite operators that move values, as other converters write them, on every stock runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.tflite import load
from edgecnn.support import require_supported
from tests.frontends.test_tflite_reader import check_on_stock_runners
from tests.frontends.tflite_models import ModelFile
from tests.ops.case_table import Rng

SCALE = (0.05, 3)


def built(shape: tuple[int, ...], make: Callable[[ModelFile, int], list[int]]) -> bytes:
    """A file with one int8 input and the outputs that ``make`` appends."""
    m = ModelFile()
    x = m.tensor("x", shape, quant=SCALE)
    return m.finish([x], make(m, x))


def outputs(m: ModelFile, *shapes: tuple[int, ...]) -> list[int]:
    return [m.tensor(f"y{i}", shape, quant=SCALE) for i, shape in enumerate(shapes)]


def strided(
    m: ModelFile, x: int, bounds: list[list[int]], shape: tuple[int, ...], **masks: int
) -> list[int]:
    ends = outputs(m, shape)
    parts = [m.constant(n, b) for n, b in zip(("begin", "end", "strides"), bounds, strict=True)]
    m.operator("STRIDED_SLICE", [x, *parts], ends, m.options("StridedSliceOptions", **masks))
    return ends


def split(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 4, 2, 3), (1, 4, 2, 3))
    m.operator("SPLIT", [m.constant("axis", -2), x], ends, m.options("SplitOptions", numSplits=2))
    return ends


def split_v(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 1, 4, 3), (1, 3, 4, 3))
    inputs = [x, m.constant("sizes", [1, -1]), m.constant("axis", 1)]
    m.operator("SPLIT_V", inputs, ends, m.options("SplitVOptions", numSplits=2))
    return ends


def unpack(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 4, 3), (1, 4, 3), (1, 4, 3), (1, 4, 3))
    m.operator("UNPACK", [x], ends, m.options("UnpackOptions", num=4, axis=2))
    return ends


def pack(m: ModelFile, x: int) -> list[int]:
    data = m.tensor("c", (1, 6), quant=SCALE, data=np.arange(6).astype(np.int8).reshape(1, 6))
    ends = outputs(m, (1, 3, 6))
    m.operator("PACK", [x, data, x], ends, m.options("PackOptions", valuesCount=3, axis=1))
    return ends


def concatenation(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 4, 4, 6))
    m.operator("CONCATENATION", [x, x], ends, m.options("ConcatenationOptions", axis=-1))
    return ends


def squeeze(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 4, 3))
    m.operator("SQUEEZE", [x], ends, m.options("SqueezeOptions", squeezeDims=[1]))
    return ends


def expand_dims(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 4, 1, 4, 3))
    m.operator("EXPAND_DIMS", [x, m.constant("axis", 2)], ends, m.options("ExpandDimsOptions"))
    return ends


def cut(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 2, 3, 3))
    inputs = [x, m.constant("begin", [0, 1, 1, 0]), m.constant("size", [1, 2, -1, 3])]
    m.operator("SLICE", inputs, ends, m.options("SliceOptions"))
    return ends


def maximum(m: ModelFile, x: int) -> list[int]:
    ends = outputs(m, (1, 1, 1, 3))
    options = m.options("ReducerOptions", keepDims=True)
    m.operator("REDUCE_MAX", [x, m.constant("axes", [1, -2])], ends, options)
    return ends


IMAGE = (1, 4, 4, 3)
CASES: dict[str, bytes] = {
    "concatenation": built(IMAGE, concatenation),
    "split": built(IMAGE, split),
    "split-v": built(IMAGE, split_v),
    "slice": built(IMAGE, cut),
    "squeeze": built((1, 1, 4, 3), squeeze),
    "expand-dims": built(IMAGE, expand_dims),
    "reduce-max": built(IMAGE, maximum),
    "strided-slice": built(
        IMAGE, lambda m, x: strided(m, x, [[0, -3, 3, 0], [1, 4, -5, 3], [1, 2, -1, 1]],
                                    (1, 2, 4, 3)),
    ),
    "strided-slice-masks": built(
        IMAGE, lambda m, x: strided(m, x, [[0, 2, 1, 1], [0, 0, 3, 2], [1, 1, 1, 1]],
                                    (1, 4, 2, 2), beginMask=2, endMask=11),
    ),
    "strided-slice-shrinks": built(
        IMAGE, lambda m, x: strided(m, x, [[0, -1, 0, 0], [1, 0, 4, 3], [1, 1, 2, 1]],
                                    (1, 2, 3), shrinkAxisMask=2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_reads_and_writes_the_same_bytes(case: str) -> None:
    check_on_stock_runners(CASES[case])


#: Read as other operators: TFLite Micro has both, but not what is in between.
SPELLED = {
    "unpack": (built(IMAGE, unpack), ["split", *["reshape"] * 4]),
    "pack": (built((1, 6), pack), ["reshape", "reshape", "concat"]),
}


@pytest.mark.parametrize("case", SPELLED)
def test_spells_as_simpler_operators(case: str) -> None:
    data, operators = SPELLED[case]
    assert [node.op for node in check_on_stock_runners(data).nodes] == operators


def random_transpose_conv(rng: Rng) -> bytes:
    stride, kernel, padding = int(rng.integers(1, 4)), int(rng.integers(1, 5)), rng.integers(0, 2)
    m = ModelFile()
    x = m.tensor("x", (1, 3, 4, 2), quant=SCALE)
    size = [n * stride if padding == 0 else (n - 1) * stride + kernel for n in (3, 4)]
    weights = rng.integers(-127, 128, (5, kernel, kernel, 2), dtype=np.int8)
    w = m.tensor("w", weights.shape, quant=(0.02, 0), data=weights)
    y = m.tensor("y", (1, *size, 5), quant=(0.2, -4))
    options: Any = m.options(
        "TransposeConvOptions", padding=int(padding), strideH=stride, strideW=stride
    )
    m.operator("TRANSPOSE_CONV", [m.constant("shape", [1, *size, 5]), w, x], [y], options)
    return m.finish([x], [y])


@pytest.mark.parametrize("seed", range(6))
def test_transpose_conv_without_bias(seed: int) -> None:
    check_on_stock_runners(random_transpose_conv(np.random.default_rng(seed)))


def test_refuses_to_join_unequal_scales() -> None:
    m = ModelFile()
    x, y = m.tensor("x", (1, 4), quant=SCALE), m.tensor("y", (1, 4), quant=(0.1, 3))
    z = m.tensor("z", (1, 8), quant=SCALE)
    m.operator("CONCATENATION", [x, y], [z], m.options("ConcatenationOptions", axis=1))
    graph = load(m.finish([x, y], [z]), "net")
    with pytest.raises(UnsupportedError, match="scale"):
        require_supported(graph)


def test_refuses_an_activation_in_a_concatenation() -> None:
    m = ModelFile()
    x, z = m.tensor("x", (1, 4), quant=SCALE), m.tensor("z", (1, 8), quant=SCALE)
    options = m.options("ConcatenationOptions", axis=1, fusedActivationFunction=1)
    m.operator("CONCATENATION", [x, x], [z], options)
    with pytest.raises(UnsupportedError, match="fused activation"):
        load(m.finish([x], [z]), "net")
