"""The exported folder: the same bytes each time, whole or not at all, and C that is as promised."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn.errors import ParityError, UserError
from edgecnn.identifiers import network_name, problem
from edgecnn.ir import Array, Graph
from edgecnn.parity import Artifact, ParityReport, RunnerResult
from firmware_export import export as export_module
from firmware_export import manifest
from tests.command_line import (
    contents,
    small_float,
    small_int8,
    small_pt2,
    succeeds,
    two_inputs,
    write,
    write_images,
)


def test_two_exports_are_the_same_bytes(tmp_path: Path) -> None:
    """Every file, into another folder of another name, in another call."""
    model = write(tmp_path / "small.pt2", small_pt2())
    calibration = write_images(tmp_path / "x.npy")
    data = write_images(tmp_path / "labelled.npz", labels=True)
    options = ("--calibration", calibration, "--data", data, "--board", "frdm-k64f", "--samples", 3)
    for output in ("first", "elsewhere/second"):
        succeeds("export", model, "-o", tmp_path / output, *options)
    first = contents(tmp_path / "first")
    assert first == contents(tmp_path / "elsewhere" / "second")
    assert {"small.c", "small.tflite", "report.html", "manifest.json"} <= set(first)


def test_no_file_knows_where_or_when_it_was_made(tmp_path: Path) -> None:
    directory = tmp_path / "somewhere-special"
    edgecnn.export(small_int8(), directory, samples=0, runners="numpy")
    for name, data in contents(directory).items():
        assert b"somewhere-special" not in data, name
        assert str(Path.home()).encode() not in data, name


def test_generated_files_carry_command_version_and_hash(tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path / "out", samples=0, runners="numpy", command="my call")
    facts = manifest.read(tmp_path / "out")
    for name in ("small.c", "small.h", "small_weights.c", "small_weights.h"):
        head = (tmp_path / "out" / name).read_text()[:400]
        assert f"edgecnn {edgecnn.__version__}" in head
        assert "Command: my call" in head
        assert facts["model_sha256"] in head


def test_a_second_export_replaces_the_first_and_leaves_other_files(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    edgecnn.export(small_int8(), directory, name="old", samples=0, runners="numpy")
    write(directory / "notes.txt", b"mine")
    edgecnn.export(small_int8(), directory, name="fresh", samples=0, runners="numpy")
    names = set(contents(directory))
    assert "notes.txt" in names
    assert "fresh.c" in names
    assert not any(name.startswith("old") for name in names)
    assert not any(name.startswith(".") for name in names)


def test_a_failed_check_leaves_an_earlier_export_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "out"
    edgecnn.export(small_int8(), directory, samples=0, runners="numpy")
    before = contents(directory)

    def differing(artifact: Artifact, *_: object, **__: object) -> ParityReport:
        return ParityReport("tflm", 1, (RunnerResult("tflm", True, values=1, mismatches=1),))

    monkeypatch.setattr(export_module, "verify", differing)
    with pytest.raises(ParityError):
        edgecnn.export(small_int8(), directory, name="other")
    with pytest.raises(ParityError):
        edgecnn.export(small_int8(), tmp_path / "new" / "deep")
    assert contents(directory) == before
    assert list(tmp_path.iterdir()) == [directory]


def test_a_link_to_a_folder_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    edgecnn.export(small_int8(), tmp_path / "link", samples=0, runners="numpy")
    assert (tmp_path / "link").is_symlink()
    assert "small.c" in contents(tmp_path / "real")


def test_a_float_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="quantize it"):
        edgecnn.export(small_float(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_exported_folder_opens_as_what_was_exported(tmp_path: Path) -> None:
    graph = small_int8()
    edgecnn.export(graph, tmp_path / "out", samples=0, runners="numpy")
    artifact = manifest.open_export(tmp_path / "out")
    assert artifact.graph.input_permutations == graph.input_permutations
    assert artifact.c_tensors == tuple(graph.activations())
    assert artifact.name == "small"


def macros(header: str) -> dict[str, str]:
    return dict(re.findall(r"#define (\w+) (.+)", header))


def test_the_header_of_one_input(tmp_path: Path) -> None:
    graph = small_int8()
    edgecnn.export(graph, tmp_path / "out", name="digits", samples=0, runners="numpy")
    header = (tmp_path / "out" / "digits.h").read_text()
    defined = macros(header)
    tensor = graph.tensors[graph.inputs[0]]
    assert defined["DIGITS_INPUT_SIZE"] == "64u"
    assert defined["DIGITS_INPUT_SHAPE"] == "{1, 8, 8, 1}"
    assert np.float32(defined["DIGITS_INPUT_SCALE"].rstrip("f")) == np.float32(tensor.scale)
    assert defined["DIGITS_INPUT_ZERO_POINT"] == f"({tensor.zero_point})"
    assert defined["DIGITS_OUTPUT_SIZE"] == "10u"
    assert int(defined["DIGITS_ARENA_SIZE"].rstrip("u")) > 256
    for declaration in (
        "int8_t *digits_input(void *arena);",
        "const int8_t *digits_output(const void *arena);",
        "int digits_run(void *arena);",
    ):
        assert declaration in header


class Classifier(torch.nn.Module):
    """Ends in the index of a class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.argmax(x.mean((2, 3)), 1)


def test_a_network_that_ends_in_an_index(tmp_path: Path) -> None:
    """Its output has no scale, in the header as in the report."""
    graph = edgecnn.load(Classifier(), torch.zeros(1, 3, 4, 4))
    int8 = edgecnn.quantize(graph, np.random.default_rng(0).random((10, 3, 4, 4)))
    assert edgecnn.export(int8, tmp_path / "out", name="net").parity.passed
    header = (tmp_path / "out" / "net.h").read_text()
    assert "const int32_t *net_output(const void *arena);" in header
    assert "NET_OUTPUT_SCALE" not in header
    assert "argmax" in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture(scope="module")
def two() -> tuple[Graph, Graph, dict[str, Array]]:
    """A network with two inputs and two outputs, float and int8, and calibration data."""
    graph = edgecnn.load(two_inputs(), (torch.zeros(1, 1, 6, 6), torch.zeros(1, 2, 4, 4)))
    rng = np.random.default_rng(3)
    x = {"a": rng.normal(size=(40, 1, 6, 6)), "b": rng.normal(size=(40, 2, 4, 4))}
    return graph, edgecnn.quantize(graph, x), x


def test_several_inputs_and_outputs(
    two: tuple[Graph, Graph, dict[str, Array]], tmp_path: Path
) -> None:
    _, graph, _ = two
    result = edgecnn.export(graph, tmp_path / "out", name="pair", samples=20)
    assert result.parity.passed
    header = (tmp_path / "out" / "pair.h").read_text()
    defined = macros(header)
    sizes = {k: v for k, v in defined.items() if re.search(r"(IN|OUT)PUT_\d_S(IZE|HAPE)", k)}
    assert sizes == {
        "PAIR_INPUT_0_SIZE": "36u",
        "PAIR_INPUT_0_SHAPE": "{1, 6, 6, 1}",
        "PAIR_INPUT_1_SIZE": "32u",
        "PAIR_INPUT_1_SHAPE": "{1, 4, 4, 2}",
        "PAIR_OUTPUT_0_SIZE": "5u",
        "PAIR_OUTPUT_0_SHAPE": "{1, 5}",
        "PAIR_OUTPUT_1_SIZE": "48u",
        "PAIR_OUTPUT_1_SHAPE": "{1, 4, 4, 3}",
    }
    assert "PAIR_INPUT_SIZE" not in defined
    for declaration in ("int8_t *pair_input_1(void *arena);", "*pair_output_0(const void *arena);"):
        assert declaration in header
    report = succeeds("verify", tmp_path / "out", "--samples", 30, "--json").json
    assert report["passed"]
    assert {name for name, r in report["runners"].items() if r["values"]} >= {
        "numpy", "tflm", "tflite", "litert", "host-c", "cortex-m0plus", "cortex-m4",
    }  # fmt: skip


def test_several_inputs_from_the_command_line(
    two: tuple[Graph, Graph, dict[str, Array]], tmp_path: Path
) -> None:
    """One array in the .npz for each input, by name."""
    _, graph, x = two
    np.savez(tmp_path / "x.npz", **x)
    factory = ("tests.command_line:two_inputs", "--input-shape", "1,1,6,6",
               "--input-shape", "1,2,4,4")  # fmt: skip
    succeeds("export", *factory, "-o", tmp_path / "out", "--name", "pair", "--samples", 0,
             "--calibration", tmp_path / "x.npz")  # fmt: skip
    ours = edgecnn.export(graph, tmp_path / "ours", name="pair", samples=0)
    tflite = "pair.tflite"
    assert (tmp_path / "out" / tflite).read_bytes() == (ours.directory / tflite).read_bytes()
    report = succeeds("verify", tmp_path / "out", "--inputs", tmp_path / "x.npz", "--json").json
    assert report["samples"] == 40


def test_the_outputs_are_near_those_of_torch(
    two: tuple[Graph, Graph, dict[str, Array]], tmp_path: Path
) -> None:
    """Inputs and outputs keep their order: the int8 network computes what the module does."""
    from edgecnn.data import to_feeds
    from edgecnn.fixedpoint import dequantize
    from edgecnn.simulator import run_int

    _, graph, x = two
    values = run_int(graph, to_feeds(graph, x))
    with torch.no_grad():
        wanted = two_inputs()(*(torch.from_numpy(x[n]).float() for n in ("a", "b")))
    for name, expected in zip(graph.outputs, wanted, strict=True):
        tensor = graph.tensors[name]
        got = dequantize(values[name], tensor.scale, tensor.zero_point)
        permutation = graph.output_permutations.get(name)
        got = got[:, 0]
        if permutation is not None:
            got = got.transpose(0, *permutation[1:])
        assert got.shape == expected.shape
        assert np.abs(got - expected.numpy()).mean() < 0.05 * np.ptp(expected.numpy())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("digits", "digits"), ("My net.v2", "my_net_v2"), ("2-stage", "net_2_stage"),
        ("int", "net_int"), ("STDINT", "net_stdint"), ("", "net"), ("é", "net"),
        ("edgecnn_x", "net_edgecnn_x"), ("__x__", "x"), ("a" * 60, "a" * 48),
    ],
)  # fmt: skip
def test_names_made_from_files(text: str, name: str) -> None:
    assert network_name(text) == name
    assert problem(name) is None


def test_a_file_called_like_a_keyword_is_exported(tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path / "first", name="digits", samples=0, runners="numpy")
    shutil.copy(tmp_path / "first" / "digits.tflite", tmp_path / "int.tflite")
    result = succeeds("export", tmp_path / "int.tflite", "-o", tmp_path / "out", "--samples", 0,
                      "--json").json  # fmt: skip
    assert result["name"] == "net_int"
