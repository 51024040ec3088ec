"""SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND are one dilated convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.errors import ModelFormatError, UnsupportedError
from edgecnn.frontends.constant_folding import fold
from edgecnn.frontends.tflite import load
from edgecnn.frontends.windows import SAME, VALID
from edgecnn.ir import Graph, Shape
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.passes import pipeline
from edgecnn.simulator import run_float
from tests.frontends.test_tflite_reader import check_on_stock_runners
from tests.frontends.tflite_models import ModelFile, by_litert

Ends = tuple[tuple[int, int], ...]

NONE: Ends = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Dilation:
    """A convolution of 3 channels in batches. A height of None makes the input a sequence."""

    height: int | None = 9
    width: int = 10
    kernel: tuple[int, int] = (3, 3)
    block: tuple[int, ...] = (2, 2)
    paddings: Ends = ((0, 1), (0, 0))
    crops: Ends = ((0, 1), (0, 0))
    inner: int = VALID
    depthwise: bool = False
    dtype: str = "int8"
    stride: int = 1
    output_scale: float = 0.4

    @property
    def is_sequence(self) -> bool:
        return self.height is None

    @property
    def sizes(self) -> Shape:
        return (self.width,) if self.height is None else (self.height, self.width)

    def file(self, between: Callable[[ModelFile, int], int] = lambda _file, y: y) -> bytes:
        """The file; ``between`` may put something in front of BATCH_TO_SPACE_ND."""
        rng = np.random.default_rng(0)
        file = ModelFile()
        is_int8 = self.dtype == "int8"
        x_quant, y_quant = ((0.1, -37), (self.output_scale, 11)) if is_int8 else (None, None)
        phases = int(np.prod(self.block))
        parts = tuple(
            (n + sum(p)) // b for n, p, b in zip(self.sizes, self.paddings, self.block, strict=True)
        )
        x = file.tensor("x", (1, *self.sizes, 3), self.dtype, x_quant)
        block = file.constant("block", self.block)
        paddings, crops = file.constant("paddings", self.paddings), file.constant("c", self.crops)
        images = file.tensor("batches", (phases, *parts, 3), self.dtype, x_quant)
        file.operator("SPACE_TO_BATCH_ND", [x, block, paddings], [images])
        if self.is_sequence:
            parts = (1, *parts)
            sequence, images = images, file.tensor("i", (phases, *parts, 3), self.dtype, x_quant)
            axis = file.constant("axis", 1)
            file.operator("EXPAND_DIMS", [sequence, axis], [images])
        channels = 3 if self.depthwise else 4
        shape = (1, *self.kernel, 3) if self.depthwise else (4, *self.kernel, 3)
        if is_int8:
            values = rng.integers(-127, 128, shape, dtype=np.int8)
            weights = file.tensor("w", shape, "int8", (0.01, 0), values)
            biases = rng.integers(-500, 500, channels).astype(np.int32)
            bias = file.tensor("b", (channels,), "int32", (0.001, 0), biases)
        else:
            weights = file.constant("w", rng.normal(size=shape), np.float32)
            bias = file.constant("b", rng.normal(size=channels), np.float32)
        if self.inner == VALID:
            parts = tuple(n - k + 1 for n, k in zip(parts, self.kernel, strict=True))
        y = file.tensor("convolved", (phases, *parts, channels), self.dtype, y_quant)
        name = "DepthwiseConv2D" if self.depthwise else "Conv2D"
        options = file.options(
            f"{name}Options", padding=self.inner, strideH=self.stride, strideW=self.stride
        )
        if self.depthwise:
            options.depthMultiplier = 1
        code = "DEPTHWISE_CONV_2D" if self.depthwise else "CONV_2D"
        file.operator(code, [images, weights, bias], [y], options)
        if self.is_sequence:
            parts = parts[1:]
            image, y = y, file.tensor("s", (phases, *parts, channels), self.dtype, y_quant)
            file.operator("SQUEEZE", [image], [y], file.options("SqueezeOptions", squeezeDims=[1]))
        y = between(file, y)
        whole = tuple(n * b - sum(c) for n, b, c in zip(parts, self.block, self.crops, strict=True))
        z = file.tensor("z", (1, *whole, channels), self.dtype, y_quant)
        file.operator("BATCH_TO_SPACE_ND", [y, block, crops], [z])
        return file.finish([x], [z])


INT8_CASES = {
    "valid": Dilation(),
    "depthwise": Dilation(depthwise=True),
    "different in height and width": Dilation(
        height=12, width=11, block=(3, 2), paddings=((0, 0), (0, 1)), crops=((0, 0), (0, 1))
    ),
    "cropped in front": Dilation(paddings=((1, 0), (2, 0)), crops=((1, 0), (2, 0))),
    "padded by the convolution": Dilation(10, inner=SAME, paddings=NONE, crops=NONE),
    "padded by the convolution, less": Dilation(
        10, inner=SAME, paddings=NONE, crops=((1, 0), (1, 2)), depthwise=True
    ),
    "sequence": Dilation(None, 17, (1, 3), (4,), ((0, 3),), ((0, 3),)),
    "sequence, one step": Dilation(None, 16, (1, 1), (4,), ((0, 0),), ((0, 0),)),
    "block of 1": Dilation(block=(1, 1), paddings=NONE, crops=NONE),
}


@pytest.mark.parametrize("case", INT8_CASES)
def test_int8_keeps_the_bytes_of_the_file(case: str) -> None:
    """TFLM computes the file itself, with batches, and the network that it becomes."""
    graph = pipeline.run(check_on_stock_runners(INT8_CASES[case].file()))
    ops = [node.op for node in graph.nodes]
    assert ops.count("conv2d") + ops.count("depthwise_conv2d") == 1
    assert set(ops) <= {"conv2d", "depthwise_conv2d", "pad", "reshape"}


FLOAT_CASES = {
    "same": Dilation(paddings=((2, 3), (2, 2)), dtype="float32"),
    "odd kernel": Dilation(kernel=(2, 3), paddings=((1, 2), (2, 2)), dtype="float32"),
    "causal": Dilation(None, 17, (1, 3), (4,), ((8, 3),), ((0, 3),), dtype="float32"),
    "padded twice": Dilation(paddings=((2, 3), (2, 4)), inner=SAME, dtype="float32"),
}


@pytest.mark.parametrize("case", FLOAT_CASES)
def test_float_pads_with_zeros(case: str) -> None:
    data = FLOAT_CASES[case].file()
    graph = load(data, "net")
    x = np.random.default_rng(1).normal(size=graph.tensors["x"].shape).astype(np.float32)
    (y,) = run_float(graph, {"x": x[None]})["z"]
    np.testing.assert_allclose(y, by_litert(data, x), rtol=1e-4, atol=1e-5)


def test_the_dilation_is_the_block() -> None:
    graph = pipeline.run(load(FLOAT_CASES["same"].file(), "net"))
    (node,) = graph.nodes
    assert isinstance(node.attributes, Conv2DAttributes)
    assert node.attributes.dilation == (2, 2)
    assert node.attributes.padding == (2, 2, 2, 2)


def relu_between(file: ModelFile, y: int) -> int:
    shape = tuple(int(n) for n in file.model.subgraphs[0].tensors[y].shape)
    z = file.tensor("between", shape, quant=(0.4, 11))
    file.operator("RELU", [y], [z])
    return z


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dilation(paddings=((2, 3), (2, 2))).file, "the border .* is not defined in TensorFlow"),
        (Dilation(stride=2).file, "it has a stride between"),
        (Dilation(crops=((1, 1), (0, 0))).file, "crops more than SPACE_TO_BATCH_ND pads"),
        (lambda: Dilation().file(relu_between), "only where one convolution stands between"),
    ],
    ids=["padded int8", "stride", "cropped", "another operator"],
)
def test_refuses_what_is_no_dilated_convolution(data: Callable[[], bytes], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message) as caught:
        load(data(), "net")
    assert "\n" not in str(caught.value)


def test_refuses_batches_at_the_end() -> None:
    file = ModelFile()
    x = file.tensor("x", (1, 4, 4, 3), quant=(0.1, 3))
    y = file.tensor("y", (4, 2, 2, 3), quant=(0.1, 3))
    block, paddings = file.constant("block", (2, 2)), file.constant("p", NONE)
    file.operator("SPACE_TO_BATCH_ND", [x, block, paddings], [y])
    with pytest.raises(ModelFormatError, match="SPACE_TO_BATCH_ND is read only where"):
        load(file.finish([x], [y]), "net")


def test_blocks_must_divide_the_image() -> None:
    with pytest.raises(ModelFormatError, match="do not divide"):
        load(Dilation(paddings=NONE, crops=NONE).file(), "net")


def test_folds_remainders_of_shape_arithmetic() -> None:
    """Which converters write to find out how much must be padded."""
    a, b = np.array([7, -7, 8], np.int32), np.array([4, 4, 4], np.int32)
    folded = fold("FLOOR_MOD", [a, b], None, None)
    assert folded is not None
    assert folded.tolist() == [3, 1, 0]
    assert fold("FLOOR_MOD", [a, np.zeros(3, np.int32)], None, None) is None


def test_the_graph_takes_one_image() -> None:
    graph: Graph = load(Dilation().file(), "net")
    assert {tensor.shape[0] for tensor in graph.tensors.values() if tensor.data is None} == {1}
