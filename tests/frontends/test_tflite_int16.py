"""Files of other makers with layers in int16: biases of int32, no bias, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edgecnn import verify as invariants
from edgecnn.errors import ModelFormatError, UnsupportedError
from edgecnn.frontends.tflite import load
from edgecnn.ir import INT16, INT32, Graph, QuantParams
from edgecnn.parity import Artifact, ParityReport, random_feeds, verify
from edgecnn.simulator import run_int
from edgecnn.support import require_supported
from firmware_export.runners import litert, numpy_simulator, tflm
from firmware_export.tflite_writer import to_tflite
from tests.frontends.tflite_models import ModelFile

RUNNERS = (numpy_simulator.RUNNER, tflm.RUNNER, litert.RUNNER)
RNG = np.random.default_rng(0)


def per_channel(scales: tuple[float, ...]) -> QuantParams:
    return QuantParams(scales, (0,) * len(scales), 0 if len(scales) > 1 else None)


class WideFile(ModelFile):
    """int8 to int16, layers in int16, and back to int8."""

    def __init__(self, shape: tuple[int, ...] = (1, 6, 6, 2)) -> None:
        super().__init__()
        self.input = self.tensor("x", shape, "int8", (0.05, 3))
        self.value = self.wide("x16", shape, 0.0002)
        self.operator("QUANTIZE", [self.input], [self.value], self.options("QuantizeOptions"))

    def wide(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int = 0) -> int:
        return self.tensor(name, shape, "int16", (scale, zero_point))

    def bias(self, dtype: str, scales: tuple[float, ...], channels: int) -> int:
        """Biases in the steps of products, of all channels or of each."""
        steps = tuple(float(np.float32(0.0002 * scale)) for scale in scales)
        data = RNG.integers(-30000, 30000, channels).astype(dtype)
        return self.tensor("bias", data.shape, dtype, per_channel(steps), data)

    def ended(self, value: int, shape: tuple[int, ...], scale: float) -> bytes:
        output = self.tensor("y", shape, "int8", (256 * scale, -4))
        self.operator("QUANTIZE", [value], [output], self.options("QuantizeOptions"))
        return self.finish([self.input], [output])


def convolution(bias: str = "int64", zero_point: int = 0, **options: Any) -> bytes:
    """A file with CONV_2D of 3 filters; ``bias`` is its type, or ""."""
    file = WideFile()
    weights = RNG.integers(-90, 90, (3, 3, 3, 2)).astype(np.int8)
    scales = (0.01, 0.02, 0.005)
    quant = per_channel(scales)
    inputs = [file.value, file.tensor("weights", weights.shape, "int8", quant, weights)]
    if bias:
        inputs.append(file.bias(bias, scales, 3))
    conv = file.options(
        "Conv2DOptions", padding=0, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1
    )
    if bias == INT32:
        conv.quantizedBiasType = file.schema.TensorType.INT32
    for name, value in options.items():
        setattr(conv, name, value)
    output = file.wide("conv", (1, 6, 6, 3), 0.0005, zero_point)
    file.operator("CONV_2D", inputs, [output], conv)
    return file.ended(output, (1, 6, 6, 3), 0.0005)


def connected(bias: str, scales: tuple[float, ...]) -> bytes:
    """A file with FULLY_CONNECTED of 4 units."""
    file = WideFile((1, 20))
    weights = RNG.integers(-90, 90, (4, 20)).astype(np.int8)
    quant = per_channel(scales)
    inputs = [file.value, file.tensor("weights", weights.shape, "int8", quant, weights)]
    inputs.append(file.bias(bias, scales, 4) if bias else -1)
    options = file.options("FullyConnectedOptions")
    if bias == INT32:
        options.quantizedBiasType = file.schema.TensorType.INT32
    output = file.wide("linear", (1, 4), 0.0005)
    file.operator("FULLY_CONNECTED", inputs, [output], options)
    return file.ended(output, (1, 4), 0.0005)


def added(**options: bool) -> bytes:
    """A file with ADD of a tensor to itself."""
    file = WideFile()
    output = file.wide("sum", (1, 6, 6, 2), 0.0004)
    file.operator("ADD", [file.value] * 2, [output], file.options("AddOptions", **options))
    return file.ended(output, (1, 6, 6, 2), 0.0004)


def compared(graph: Graph, data: bytes) -> ParityReport:
    """A file on the stock runners."""
    return verify(Artifact(graph, data), RUNNERS, random_feeds(graph, 20, 1))


FILES = {
    "int64-bias": convolution(),
    "int32-bias": convolution(INT32),
    "linear-int64-bias": connected("int64", (0.01, 0.02, 0.003, 0.01)),
    "linear-int32-bias": connected(INT32, (0.01, 0.02, 0.003, 0.01)),
    "linear-one-scale": connected(INT32, (0.01,)),
    "linear-no-bias": connected("", (0.01,)),
    "sum": added(potScaleInt16=False),
}


@pytest.mark.parametrize("name", FILES)
def test_reads(name: str) -> None:
    """The stock runtimes agree on the file as given, and on what is written of it again."""
    graph = load(FILES[name], "net")
    invariants.check(graph)
    require_supported(graph)
    assert sum(tensor.dtype == INT16 for tensor in graph.tensors.values()) == 2
    for data in (FILES[name], to_tflite(graph)):
        report = compared(graph, data)
        assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
        assert all(runner.available for runner in report.runners)


def test_int32_biases_are_rescaled_in_32_bits() -> None:
    """The same numbers in an int64 bias give other bytes somewhere."""
    graph = load(FILES["int32-bias"], "net")
    bias = graph.nodes[1].inputs[2]
    assert graph.tensors[bias].dtype == INT32
    tensor = graph.tensors[bias]
    assert tensor.data is not None
    wider = dataclasses.replace(tensor, dtype="int64", data=tensor.data.astype(np.int64))
    other = graph.replace(tensors={**graph.tensors, bias: wider})
    feeds = random_feeds(graph, 20, 1)
    assert (run_int(graph, feeds)["conv"] != run_int(other, feeds)["conv"]).any()


def refusal(data: bytes) -> str:
    with pytest.raises((UnsupportedError, ModelFormatError)) as caught:
        load(data, "net")
    return str(caught.value)


def test_refuses_a_network_of_int16() -> None:
    file = ModelFile()
    x, y = (file.tensor(name, (1, 4), "int16", (0.01, 0)) for name in "xy")
    file.operator("RELU", [x], [y])
    assert "its input 'x' is int16" in refusal(file.finish([x], [y]))


def test_refuses_an_int16_output() -> None:
    file = WideFile((1, 4))
    assert "its output 'x16' is int16" in refusal(file.finish([file.input], [file.value]))


def test_refuses_a_zero_point() -> None:
    assert "zero point other than 0" in refusal(convolution(zero_point=3))


def test_refuses_an_operator_without_a_form() -> None:
    file = WideFile((1, 4))
    output = file.wide("swish", (1, 4), 0.0002)
    file.operator("HARD_SWISH", [file.value], [output])
    assert "int16, for which it has no form" in refusal(file.ended(output, (1, 4), 0.0002))


def test_refuses_scales_that_are_powers_of_two() -> None:
    assert "powers of two" in refusal(added(potScaleInt16=True))


def test_refuses_a_layer_of_two_widths() -> None:
    file = WideFile()
    output = file.tensor("sum", (1, 6, 6, 2), "int8", (0.1, 0))
    options = file.options("AddOptions", potScaleInt16=False)
    file.operator("ADD", [file.value, file.input], [output], options)
    assert "it turns int16, int8 into int8" in refusal(file.finish([file.input], [output]))


def test_refuses_sums_that_leave_int32() -> None:
    file = WideFile((1, 3000))
    weights = np.full((1, 3000), 127, np.int8)
    inputs = [file.value, file.tensor("weights", weights.shape, "int8", (0.01, 0), weights)]
    inputs.append(file.tensor("bias", (1,), INT32, (2e-6, 0), np.zeros(1, np.int32)))
    output = file.wide("linear", (1, 1), 0.1)
    file.operator("FULLY_CONNECTED", inputs, [output], file.options("FullyConnectedOptions"))
    graph = load(file.ended(output, (1, 1), 0.1), "net")
    with pytest.raises(UnsupportedError, match="int32 accumulator can overflow"):
        require_supported(graph)
