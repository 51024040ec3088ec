"""What public ``.tflite`` files hold: peculiarities of converters, and parts that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn import loading
from edgecnn.errors import UnsupportedError, UserError
from edgecnn.frontends.tflite import load
from edgecnn.ir import QuantParams
from edgecnn.parity import Artifact, random_feeds, verify
from edgecnn.passes import pipeline
from firmware_export.export import export
from firmware_export.manifest import open_export
from firmware_export.runners import host_c, numpy_simulator, tflm
from firmware_export.tflite_writer import to_tflite
from tests.frontends.test_tflite_reader import check_on_stock_runners, ended_file
from tests.frontends.tflite_models import ModelFile

# --- peculiarities of converters ----------------------------------------------------------------


def test_biases_may_carry_the_axis_of_the_weights() -> None:
    """As older converters write them: a bias of rank 1 quantized along axis 3."""
    file = ModelFile()
    x = file.tensor("x", (1, 4, 4, 3), quant=(0.1, 3))
    rng = np.random.default_rng(0)
    scales = (0.01, 0.02, 0.03)
    weights = file.tensor(
        "w",
        (1, 3, 3, 3),
        quant=QuantParams(scales, (0, 0, 0), 3),
        data=rng.integers(-127, 128, (1, 3, 3, 3), dtype=np.int8),
    )
    bias_scales = tuple(float(np.float32(0.1) * np.float32(s)) for s in scales)
    bias = file.tensor(
        "b",
        (3,),
        "int32",
        QuantParams(bias_scales, (0, 0, 0), 0),
        rng.integers(-500, 500, 3).astype(np.int32),
    )
    y = file.tensor("y", (1, 4, 4, 3), quant=(0.3, 0))
    options = file.options("DepthwiseConv2DOptions", strideH=1, strideW=1, depthMultiplier=1)
    file.operator("DEPTHWISE_CONV_2D", [x, weights, bias], [y], options)
    file.model.subgraphs[0].tensors[bias].quantization.quantizedDimension = 3
    data = file.finish([x], [y])
    graph = load(data, "net")
    judges = (numpy_simulator.RUNNER, tflm.RUNNER)
    report = verify(
        Artifact(graph, to_tflite(graph)),
        judges,
        random_feeds(graph, 10, 1),
        reference=Artifact(graph, data),
    )
    assert report.passed


@pytest.mark.parametrize("is_float", [False, True])
def test_a_network_may_end_in_a_scalar(is_float: bool) -> None:
    file = ModelFile()
    dtype, quant = ("float32", None) if is_float else ("int8", (0.1, 3))
    x, y = (file.tensor(name, shape, dtype, quant) for name, shape in (("x", (1, 2)), ("y", ())))
    axes = file.constant("axes", [0, 1])
    file.operator("REDUCE_MAX", [x, axes], [y], file.options("ReducerOptions", keepDims=False))
    graph = pipeline.run(load(file.finish([x], [y]), "net"))
    assert graph.tensors[graph.outputs[0]].shape == ()


def test_a_scale_that_is_off_by_rounding_only_is_stripped() -> None:
    """Converters write 1/255 and the float32 next to it."""
    close = float(np.nextafter(np.float32(0.1), np.float32(1)))
    graph = check_on_stock_runners(ended_file("uint8", (close, 123), at_the_end=True))
    assert [node.op for node in graph.nodes] == ["relu6"]


@pytest.mark.parametrize("quant", [(0.07, 90), (0.1, 100), (0.5, 0), (0.013, 255)])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_uint8_ends_of_another_scale_are_requantized(
    quant: tuple[float, int], at_the_end: bool
) -> None:
    graph = check_on_stock_runners(ended_file("uint8", quant, at_the_end=at_the_end))
    ops = ["requantize", "relu6", "requantize"] if at_the_end else ["requantize", "relu6"]
    assert [node.op for node in graph.nodes] == ops
    x = graph.tensors[graph.inputs[0]]
    assert (x.dtype, x.zero_point) == ("int8", quant[1] - 128)


def test_a_uint8_input_without_a_scale_is_refused() -> None:
    with pytest.raises(UserError, match="'x' of type uint8 has no scale"):
        load(ended_file("uint8", None, at_the_end=False), "net")


def moved_file(case: str) -> bytes:
    """Layers between transposes, as converters from NCHW leave them."""
    file = ModelFile()
    quant = (0.1, 3)
    x = file.tensor("x", (1, 3, 3, 4), quant=quant)
    turned = file.tensor("turned", (1, 4, 3, 3), quant=quant)
    file.operator("TRANSPOSE", [x, file.constant("nchw", [0, 3, 1, 2])], [turned])
    if case == "transpose":
        return file.finish([x], [turned])
    if case == "relu":
        y = file.tensor("y", (1, 4, 3, 3), quant=quant)
        file.operator("RELU", [turned], [y])
        return file.finish([x], [y])
    rows = file.tensor("rows", (1, 4, 3), quant=quant)
    reducer = file.options("ReducerOptions", keepDims=False)
    file.operator("MEAN", [turned, file.constant("last", [3])], [rows], reducer)
    if case == "mean":
        return file.finish([x], [rows])
    all_of_it = file.tensor("all_of_it", (1, 4), quant=quant)
    file.operator("MEAN", [rows, file.constant("then", [2])], [all_of_it], reducer)
    return file.finish([x], [all_of_it])


@pytest.mark.parametrize("case", ["transpose", "relu", "mean", "means"])
def test_files_keep_the_layout_of_their_ends(case: str, tmp_path: Path) -> None:
    """The command line's own way: read, write everything, verify against the file, read again."""
    path = tmp_path / "moved.tflite"
    path.write_bytes(moved_file(case))
    graph = loading.load_path(path)
    original = load(path.read_bytes(), "net")
    assert [graph.tensors[name].shape for name in graph.outputs] == [
        original.tensors[name].shape for name in original.outputs
    ]
    result = export(graph, tmp_path / "out", source_tflite=path.read_bytes())
    assert result.parity.passed
    artifact = open_export(tmp_path / "out")
    runners = (numpy_simulator.RUNNER, tflm.RUNNER, host_c.RUNNER)
    assert verify(artifact, runners, random_feeds(artifact.graph, 10, 1)).passed


def test_a_prescribed_memory_plan_does_not_stop_the_oracle() -> None:
    """Places in the arena come as metadata: version, subgraph, count, an offset per tensor."""
    file = ModelFile()
    x, y, z = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xyz")
    file.operator("RELU", [x], [y])
    file.operator("RELU6", [y], [z])
    plan = np.array([1, 0, 3, 0, 16, 32], np.int32)
    buffer = file.schema.BufferT()
    buffer.data = np.frombuffer(plan.tobytes(), np.uint8)
    file.model.buffers.append(buffer)
    entry = file.schema.MetadataT()
    entry.name, entry.buffer = "OfflineMemoryAllocation", len(file.model.buffers) - 1
    file.model.metadata = [*(file.model.metadata or []), entry]
    check_on_stock_runners(file.finish([x], [z]))


# --- refusals -----------------------------------------------------------------------------------


def state_file() -> bytes:
    """A streaming model: a variable is set up, read, and written."""
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xy")
    state = file.tensor("state", (), "int32")
    file.operator("CALL_ONCE", [], [], file.options("CallOnceOptions", initSubgraphIndex=0))
    file.operator("VAR_HANDLE", [], [state], file.options("VarHandleOptions"))
    file.operator("READ_VARIABLE", [state], [y])
    file.operator("ASSIGN_VARIABLE", [state, x], [])
    subgraph = file.model.subgraphs[0]
    subgraph.operators[0].inputs = subgraph.operators[0].outputs = None
    return file.finish([x], [y])


def test_streaming_models_are_refused_by_reason() -> None:
    with pytest.raises(UnsupportedError, match="keeps state") as caught:
        load(state_file(), "net")
    assert [(p.operator, p.tensor) for p in caught.value.problems] == [
        ("CALL_ONCE", "the start"),
        ("VAR_HANDLE", "state"),
        ("READ_VARIABLE", "y"),
        ("ASSIGN_VARIABLE", "state"),
    ]
    assert str(caught.value).count("keeps state") == 1


def test_many_operators_with_one_reason_make_a_short_line() -> None:
    file = ModelFile()
    tensors = [file.tensor(f"t{i}" + "a" * 100, (1, 6), "uint8", (0.1, 3)) for i in range(41)]
    for i in range(40):
        file.operator("RELU" if i else "LOGISTIC", [tensors[i]], [tensors[i + 1]])
    with pytest.raises(
        UnsupportedError, match=r"LOGISTIC at 't1aa.*RELU at 't2aa.* and 38 more: "
    ) as e:
        load(file.finish([tensors[0]], [tensors[40]]), "net")
    assert len(e.value.problems) == 40
    assert len(str(e.value)) < 450
    assert "uint8, an older format" in str(e.value)


@pytest.mark.parametrize(
    ("custom", "reason"),
    [
        ("ethos-u", "Vela"),
        ("edgetpu-custom-op", "Edge TPU"),
        ("TFLite_Detection_PostProcess", "let the network end before it"),
        ("XC_conv2d_v2", "XMOS"),
        ("SignalWindow", "audio"),
        ("FlexErf", "TFLITE_BUILTINS_INT8"),
        ("Own", "custom operators are not supported"),
    ],
)
def test_custom_operators_are_refused_by_reason(custom: str, reason: str) -> None:
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xy")
    file.operator("CUSTOM", [x], [y])
    file.model.operatorCodes[-1].customCode = custom
    with pytest.raises(UnsupportedError, match=f"CUSTOM {custom} at 'y': .*{reason}"):
        load(file.finish([x], [y]), "net")


@pytest.mark.parametrize(
    ("code", "dtype", "reason"),
    [
        ("GATHER", "float32", r"as an embedding does; .* \(let the network start behind"),
        ("CAST", "float32", "changes the type of numbers"),
        ("RFFT2D", "float32", "audio features"),
        ("ARG_MAX", "int64", r"computes int64; .* \(convert with indices of type int32"),
    ],
)
def test_operators_at_the_ends_are_refused_by_reason(code: str, dtype: str, reason: str) -> None:
    file = ModelFile()
    x, y = file.tensor("x", (1, 6), "float32"), file.tensor("y", (1,), dtype)
    file.operator(code, [x, file.constant("axis", [1])], [y])
    with pytest.raises(UnsupportedError, match=f"{code} at 'y': .*{reason}") as caught:
        load(file.finish([x], [y]), "net")
    assert "\n" not in str(caught.value)


def test_a_float_tail_is_refused_by_reason() -> None:
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xy")
    real, end = (file.tensor(name, (1, 6), "float32") for name in ("real", "end"))
    file.operator("RELU", [x], [y])
    file.operator("DEQUANTIZE", [y], [real], file.options("DequantizeOptions"))
    file.operator("RELU", [real], [end])
    with pytest.raises(
        UnsupportedError, match="DEQUANTIZE at 'real': the network goes on in float"
    ):
        load(file.finish([x], [end]), "net")
