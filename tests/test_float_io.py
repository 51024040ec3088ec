"""Float ends: what QUANTIZE and DEQUANTIZE compute, to the last bit, on every runner."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn.errors import DataError, ParityError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.float_io import random_float_feeds, to_float_feeds
from edgecnn.ir import MAX_SCALE, Array, Graph
from edgecnn.ops.argmax import ArgmaxAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.parity import Artifact, ParityReport, verify
from edgecnn.simulator import run_int
from firmware_export import c_writer, manifest
from firmware_export.runners import host_c, numpy_simulator
from firmware_export.tflite_writer import to_tflite
from tests.command_line import fails, images, small_int8, succeeds, two_inputs, write
from tests.float_ends import EXTREME_SCALES, around_every_tie, exported, write_float_c
from tests.ops.case_table import (
    OPTIONAL_RUNNERS,
    RUNNERS,
    Case,
    Value,
    build,
    draw_zero_point,
)


def check(graph: Graph, directory: Path, feeds: Mapping[str, Array]) -> ParityReport:
    """Every runner shows every tensor, int8 and float, with the same bits."""
    report = verify(exported(graph, directory), RUNNERS, feeds)
    assert report.reference == "tflm"
    floats = sum(graph.tensors[name].dtype == "int8" for name in dict.fromkeys(graph.outputs))
    for result in report.runners:
        if result.available or result.name not in OPTIONAL_RUNNERS:
            assert result.available, result.reason
            assert result.tensors == len(graph.activations()) + floats, result.name
            assert result.mismatches == 0, (result.name, result.first_mismatch)
            assert result.known_differences == 0
    assert report.passed
    return report


def ports(quants: list[tuple[float, int]], size: int) -> Graph:
    """One input of each scale and zero point, given back as it is."""
    attributes = ReshapeAttributes((size,))
    return build(
        [
            Case(f"port{i}", "reshape", [Value((1, size), scale, zero)], attributes)
            for i, (scale, zero) in enumerate(quants)
        ]
    )


# --- all runners ------------------------------------------------------------------------------


def extreme_quants() -> list[tuple[float, int]]:
    return [(s, z) for s in EXTREME_SCALES for z in (-128, -1, 0, 127)]


def random_quants(seed: int) -> list[tuple[float, int]]:
    rng = np.random.default_rng(seed)
    return [(2.0 ** rng.uniform(-40, 40), draw_zero_point(rng)) for _ in range(80)]


@pytest.mark.parametrize("draw", [extreme_quants, *(partial(random_quants, s) for s in range(3))])
def test_scales_and_zero_points_on_every_runner(draw: Any, tmp_path: Path) -> None:
    """240 random ones; no more in one file, since TFLite Micro plans 1,024 buffers at most."""
    graph = ports(draw(), 96)
    check(graph, tmp_path, random_float_feeds(graph, 8, 12))


def test_every_tie_and_its_neighbours_on_every_runner(tmp_path: Path) -> None:
    rng = np.random.default_rng(13)
    scales = [1.0, 0.1, 1 / 3, 0.0039, 1e-20, 2.0**-126, 12345.678, MAX_SCALE]
    quants = [(s, z) for s in scales for z in (-128, 0, 127, int(rng.integers(-127, 127)))]
    reals = [around_every_tie(*quant) for quant in quants]
    graph = ports(quants, reals[0].size)
    feeds = {n: x.reshape(1, 1, -1) for n, x in zip(graph.inputs, reals, strict=True)}
    check(graph, tmp_path, feeds)


def test_a_whole_network(tmp_path: Path) -> None:
    graph = small_int8()
    check(graph, tmp_path, random_float_feeds(graph, 20, 1))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """One tensor is input, output and operand at once; another is an output twice."""
    graph = build(
        [
            Case("a", "relu", [Value((1, 6), 0.1, 3)], output=(0.07, -100)),
            Case("b", "sigmoid", [Value((1, 2, 3), 0.02, -5)], output=(1 / 256, -128)),
        ]
    )
    graph = graph.replace(outputs=(*graph.outputs, graph.inputs[0], "a"))
    write_float_c(graph, tmp_path)
    header = (tmp_path / "net.h").read_text()
    for i in range(2):
        assert f"void net_quantize_input_{i}(void *arena, const float *values);" in header
    for i in range(4):
        assert f"void net_dequantize_output_{i}(const void *arena, float *values);" in header
    separate = graph.replace(outputs=graph.outputs[:2])
    check(separate, tmp_path, random_float_feeds(separate, 10, 2))


def test_an_input_that_is_an_output_too(tmp_path: Path) -> None:
    graph = build([Case("y", "relu", [Value((1, 6), 0.1, 3)], output=(0.07, -100))])
    graph = graph.replace(outputs=("y", graph.inputs[0]))
    check(graph, tmp_path, random_float_feeds(graph, 10, 2))


def test_tensors_that_are_called_like_the_float_ones(tmp_path: Path) -> None:
    cases = [Case(n, "relu", [Value((1, 4), 0.1, i)]) for i, n in enumerate(("y", "y_float"))]
    graph = build(cases)
    check(graph, tmp_path, random_float_feeds(graph, 5, 2))


def test_indices_stay_int32(tmp_path: Path) -> None:
    """Beside an output in reals; and as the only one."""
    index = Case("index", "argmax", [Value((1, 4, 3), 0.1, 3)], ArgmaxAttributes(2))
    scores = Case("scores", "relu", [Value((1, 5), 0.1, 3)])
    for cases in ([index], [scores, index]):
        graph = build(cases)
        check(graph, tmp_path, random_float_feeds(graph, 8, 3))
        header = (tmp_path / "net.h").read_text()
        suffix = "_1" if len(cases) > 1 else ""
        assert f"const int32_t *net_output{suffix}(const void *arena);" in header
        assert f"net_dequantize_output{suffix}(" not in header
        details = interpreter(to_tflite(graph, float_io=True)).get_output_details()
        assert [d["dtype"] for d in details][-1] is np.int32


def interpreter(data: bytes) -> Any:
    from ai_edge_litert import interpreter as litert

    loaded = litert.Interpreter(
        model_content=data,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
    )
    loaded.allocate_tensors()
    return loaded


def test_the_tflite_file_is_what_the_converter_writes() -> None:
    """float32 ends, QUANTIZE first, DEQUANTIZE last, the same int8 network between."""
    loaded = interpreter(to_tflite(small_int8(), float_io=True))
    for detail in (*loaded.get_input_details(), *loaded.get_output_details()):
        assert detail["dtype"] is np.float32
        assert detail["quantization"] == (0.0, 0)
    operators = [op["op_name"] for op in loaded._get_ops_details()]
    inside = [op["op_name"] for op in interpreter(to_tflite(small_int8()))._get_ops_details()]
    assert operators == ["QUANTIZE", *inside, "DEQUANTIZE"]


# --- verification finds faults ----------------------------------------------------------------

FAULTS = {
    "ties go to zero": ("rest >= 0.5f", "rest > 0.5f", "input"),
    "negative ties go to zero": ("rest <= -0.5f", "rest < -0.5f", "input"),
    "rounding is truncation": ("rest >= 0.5f ? 1 : 0", "0", "input"),
    "a product instead of a quotient": ("value / scale", "value * (1.0f / scale)", "input"),
    "no saturation": ("edgecnn_clamp(rounded + zero_point, -128, 127)",
                      "(rounded + zero_point)", "input"),
    "the last bit of an output": ("scale * (float)(input[i] - zero_point)",
                                  "scale * (float)(input[i] - zero_point) * 1.0000001f", "output"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_verification_finds(fault: str, tmp_path: Path) -> None:
    graph = build(
        [
            Case(f"y{scale:.3f}", "relu", [Value((1, 16), scale, 3)], output=(0.07, -9))
            for scale in (0.1, 1 / 3, 0.0371)
        ]
    )
    artifact = exported(graph, tmp_path)
    right, wrong, where = FAULTS[fault]
    header = tmp_path / "edgecnn_float_io.h"
    assert right in header.read_text()
    header.write_text(header.read_text().replace(right, wrong))
    report = verify(
        artifact, (numpy_simulator.RUNNER, host_c.RUNNER), random_float_feeds(graph, 100, 0)
    )
    assert not report.passed
    first = report.runners[1].first_mismatch
    assert first is not None
    ends = graph.inputs if where == "input" else [f"{name}_float" for name in graph.outputs]
    assert first.tensor in ends
    assert report.runners[1].max_abs_diff >= 1
    json.dumps(report.to_json())
    if where == "output":
        assert isinstance(first.expected, float)


# --- what export writes, and verify reads -----------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("float") / "build"
    edgecnn.export(small_int8(), directory, float_io=True, samples=3)
    return directory


def test_export_keeps_the_int8_interface(folder: Path, tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path / "int8", samples=0, runners="numpy")
    header = (folder / "small.h").read_text()
    inside = (tmp_path / "int8" / "small.h").read_text()
    assert set(inside.splitlines()) <= set(header.splitlines())
    for declaration in (
        "void small_quantize_input(void *arena, const float *values);",
        "void small_dequantize_output(const void *arena, float *values);",
    ):
        assert declaration in header
        assert declaration not in inside
    added = {p.name for p in folder.iterdir()} - {p.name for p in (tmp_path / "int8").iterdir()}
    assert added == {"edgecnn_float_io.h"}
    facts = [json.loads((d / "manifest.json").read_text()) for d in (folder, tmp_path / "int8")]
    assert [f["float_io"] for f in facts] == [True, False]
    assert facts[0]["arena_bytes"] == facts[1]["arena_bytes"]
    assert facts[0]["tensors"] == facts[1]["tensors"]
    page = (folder / "report.html").read_text()
    assert "takes and gives float32" in page
    assert "float32 samples go through" in page


def test_an_export_without_it_takes_the_floats_away(tmp_path: Path) -> None:
    for float_io in (True, False):
        edgecnn.export(small_int8(), tmp_path, float_io=float_io, samples=0, runners="numpy")
        assert (tmp_path / "edgecnn_float_io.h").exists() is float_io
        assert manifest.open_export(tmp_path).float_io is float_io


def test_the_command_line(tmp_path: Path) -> None:
    model = write(tmp_path / "small.tflite", to_tflite(small_int8()))
    result = succeeds("export", model, "-o", tmp_path / "out", "--float-io", "--json").json
    assert result["verify"]["passed"]
    command = json.loads((tmp_path / "out" / "manifest.json").read_text())["command"]
    assert command == "edgecnn export small.tflite --optimize balanced --float-io"
    report = succeeds("verify", tmp_path / "out", "--samples", 5, "--json").json
    assert all(r["mismatches"] == 0 for r in report["runners"].values())
    graph = small_int8()
    tensors = len(graph.activations()) + 1
    assert {r["tensors"] for r in report["runners"].values() if r["available"]} == {tensors}
    assert "--float-io" in succeeds("export", "--help").out


@pytest.mark.parametrize("count", [1, 3])
def test_verify_takes_floats_of_the_user(folder: Path, tmp_path: Path, count: int) -> None:
    np.save(tmp_path / "x.npy", 3 * images(count) - 1)
    report = succeeds("verify", folder, "--inputs", tmp_path / "x.npy", "--json").json
    assert report["samples"] == count
    assert report["passed"]


def test_verify_takes_int8_of_the_user(folder: Path) -> None:
    """They stand for reals, which QUANTIZE turns into them again."""
    graph = manifest.open_export(folder).graph
    codes = np.random.default_rng(0).integers(-128, 128, (4, 1, 8, 8), dtype=np.int8)
    feeds = to_float_feeds(graph, codes)
    (name,) = graph.inputs
    assert feeds[name].dtype == np.float32
    tensor = graph.tensors[name]
    back = quantize(feeds[name], tensor.scale, tensor.zero_point)
    assert np.array_equal(back.reshape(codes.shape), codes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.nan, "NaN or infinite"), (-np.inf, "NaN or infinite"), (1e30, "beyond ±2**31 steps")],
)
def test_verify_refuses_what_is_undefined(
    folder: Path, tmp_path: Path, value: float, expected: str
) -> None:
    x = images(2)
    x[1, 0, 3, 3] = value
    np.save(tmp_path / "x.npy", x)
    line = fails(2, "verify", folder, "--inputs", tmp_path / "x.npy")
    assert expected in line
    assert "x.npy" in line


def test_values_beyond_the_steps_name_the_input() -> None:
    with pytest.raises(DataError, match="of the scale of input 'x'"):
        to_float_feeds(ports_named_x(), np.full((1, 4), 1e10, np.float32))


def ports_named_x() -> Graph:
    graph = ports([(0.1, 0)], 4)
    (old,) = graph.inputs
    tensors = {("x" if n == old else n): t for n, t in graph.tensors.items()}
    return graph.replace(inputs=("x",), tensors=tensors)


def test_evaluate_of_a_float_export(folder: Path, tmp_path: Path) -> None:
    from tests.command_line import write_images

    data = write_images(tmp_path / "labelled.npz", labels=True)
    result = succeeds("evaluate", folder, "--data", data, "--json").json
    assert result["int8"]["accuracy"] >= 0.9


def test_several_ports_through_the_whole_export(tmp_path: Path) -> None:
    graph = edgecnn.load(two_inputs(), (torch.zeros(1, 1, 6, 6), torch.zeros(1, 2, 4, 4)))
    rng = np.random.default_rng(3)
    x = {"a": rng.normal(size=(40, 1, 6, 6)), "b": rng.normal(size=(40, 2, 4, 4))}
    int8 = edgecnn.quantize(graph, x)
    result = edgecnn.export(int8, tmp_path / "out", float_io=True, name="two")
    assert result.parity.passed
    np.savez(tmp_path / "x.npz", **x)
    succeeds("verify", tmp_path / "out", "--inputs", tmp_path / "x.npz")


# --- files that have float ends already -------------------------------------------------------


def test_an_imported_file_with_float_ends_stays_int8_unless_asked(tmp_path: Path) -> None:
    model = write(tmp_path / "net.tflite", to_tflite(small_int8(), float_io=True))
    for option in ((), ("--float-io",)):
        out = tmp_path / f"out{len(option)}"
        result = succeeds("export", model, "-o", out, *option, "--json").json
        assert result["verify"]["passed"]
        details = interpreter((out / "net.tflite").read_bytes()).get_input_details()
        assert details[0]["dtype"] is (np.float32 if option else np.int8)
        assert ("quantize_input" in (out / "net.h").read_text()) is bool(option)
    same = {f"out{i}": (tmp_path / f"out{i}" / "net_weights.c").read_text() for i in (0, 1)}
    bodies = [re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL) for text in same.values()]
    assert bodies[0] == bodies[1]
    succeeds("verify", model, "--samples", 2)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("mlperf_tiny/kws_ref_model.tflite", marks=pytest.mark.slow),
        "tflm/hello_world_int8.tflite",
    ],
)
def test_official_models(model: str, shared_path: Any, tmp_path: Path) -> None:
    """The oracle runs the official file, whose ends are int8, and the written one with floats."""
    path = shared_path(f"models/{model}")
    result = succeeds("export", path, "-o", tmp_path / "out", "--float-io", "--name", "net",
                      "--samples", 5, "--json").json  # fmt: skip
    runners = result["verify"]["runners"]
    assert all(r["mismatches"] == 0 for r in runners.values())
    assert runners["tflm"]["values"] > 0
    succeeds("verify", tmp_path / "out", "--samples", 5)


def test_floats_mean_what_the_int8_network_means() -> None:
    """Through the definition: quantize, run, dequantize."""
    graph = small_int8()
    feeds = random_float_feeds(graph, 6, 9)
    session = numpy_simulator.RUNNER.open(Artifact(graph, b"", float_io=True))
    (x,), (y,) = graph.inputs, graph.outputs
    source, target = graph.tensors[x], graph.tensors[y]
    codes = {x: quantize(feeds[x], source.scale, source.zero_point)}
    expected = dequantize(run_int(graph, codes)[y], target.scale, target.zero_point)
    np.testing.assert_array_equal(session.run(feeds)[f"{y}_float"], expected)


def test_a_failed_float_verification_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = c_writer.kernel_files

    def broken(stems: list[str]) -> dict[str, str]:
        return {n: t.replace("rest >= 0.5f", "rest > 0.5f") for n, t in kernels(stems).items()}

    monkeypatch.setattr(c_writer, "kernel_files", broken)
    with pytest.raises(ParityError, match="host-c differs from tflm"):
        edgecnn.export(small_int8(), tmp_path / "out", float_io=True)
    assert not (tmp_path / "out").exists()
