"""What the commands do when all is well, and when a check fails: output, JSON, exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import edgecnn
from tests.command_line import (
    EXACT_RUNNERS,
    Outcome,
    edgecnn_command,
    fails,
    images,
    small,
    small_pt2,
    small_tflite,
    succeeds,
    write,
    write_images,
)
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.tflite", small_tflite())


@pytest.fixture(scope="module")
def pt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.pt2", small_pt2())


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "labelled.npz", labels=True)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tflite: Path) -> tuple[Path, Outcome]:
    directory = tmp_path_factory.mktemp("out") / "build"
    outcome = succeeds("export", tflite, "-o", directory, "--json", "--board", "frdm-k64f")
    return directory, outcome


# --- export -----------------------------------------------------------------------------------


def test_export_json_has_the_content_of_the_interface(exported: tuple[Path, Outcome]) -> None:
    directory, outcome = exported
    result = outcome.json
    assert outcome.err == ""
    assert result["name"] == "small"
    assert sorted(result["files"]) == sorted(p.name for p in directory.iterdir())
    assert result["verify"]["passed"] is True
    assert result["arena_bytes"] > 2 * 4 * 8 * 8
    assert result["weight_bytes"] > 4 * 4 * 9 + 640
    assert result["fit"]["fits"] is True


def test_export_writes_all_that_the_interface_names(exported: tuple[Path, Outcome]) -> None:
    directory, _ = exported
    files = {p.name for p in directory.iterdir()}
    own = {"small.tflite", "small.h", "small.c", "small_weights.h", "small_weights.c"}
    assert own | {"report.html", "manifest.json"} <= files
    kernels = files - own - {"report.html", "manifest.json"}
    assert kernels
    assert all(re.fullmatch(r"edgecnn_\w+\.h", name) for name in kernels)
    assert "edgecnn_softmax.h" not in kernels


def test_the_manifest_says_what_was_exported(exported: tuple[Path, Outcome], tflite: Path) -> None:
    import hashlib

    directory, outcome = exported
    facts = json.loads((directory / "manifest.json").read_text())
    assert facts["model_sha256"] == hashlib.sha256(tflite.read_bytes()).hexdigest()
    assert facts["command"] == ("edgecnn export small.tflite --board frdm-k64f --optimize balanced")
    assert facts["board"] == "frdm-k64f"
    assert {"name", "shape", "scale", "zero_point"} <= set(facts["tensors"][0])
    for name, file in facts["files"].items():
        data = (directory / name).read_bytes()
        assert file == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert set(facts["files"]) == set(outcome.json["files"]) - {"manifest.json"}


def test_export_of_a_float_model_quantizes_and_measures(
    pt2: Path, labelled: Path, tmp_path: Path
) -> None:
    calibration = write_images(tmp_path / "x.npy")
    result = succeeds(
        "export", pt2, "-o", tmp_path / "out", "--calibration", calibration, "--data", labelled,
        "--name", "Digits_2", "--json",
    ).json  # fmt: skip
    assert result["name"] == "Digits_2"
    assert (tmp_path / "out" / "Digits_2.h").is_file()
    assert result["verify"]["passed"]
    accuracy = result["accuracy"]
    assert accuracy["samples"] == 24
    assert accuracy["float"]["accuracy"] == 1.0
    assert accuracy["int8"]["accuracy"] == accuracy["agreement"] >= 0.9


def test_a_factory_gives_what_its_pt2_gives(pt2: Path, tmp_path: Path) -> None:
    calibration = write_images(tmp_path / "x.npy")
    common = ("--calibration", calibration, "--name", "net", "--samples", 0)
    succeeds("export", pt2, "-o", tmp_path / "a", *common)
    torch.save(small().state_dict(), tmp_path / "weights.pt")
    factory = ("tests.command_line:small", "--input-shape", "1,1,8,8")
    succeeds("export", *factory, "--weights", tmp_path / "weights.pt", "-o", tmp_path / "b",
             *common)  # fmt: skip
    assert (tmp_path / "a" / "net.tflite").read_bytes() == (
        tmp_path / "b" / "net.tflite"
    ).read_bytes()
    command = json.loads((tmp_path / "b" / "manifest.json").read_text())["command"]
    assert "--input-shape 1,1,8,8 --weights weights.pt" in command


def test_ranges_can_be_chosen(pt2: Path, tmp_path: Path) -> None:
    calibration = tmp_path / "x.npy"
    np.save(calibration, np.random.default_rng(0).standard_t(2, (50, 1, 8, 8)))
    for ranges in ("mse", "minmax"):
        succeeds("export", pt2, "-o", tmp_path / ranges, "--calibration", calibration,
                 "--ranges", ranges, "--samples", 0, "--runners", "numpy,tflm")  # fmt: skip
    weights = [(tmp_path / r / "small.tflite").read_bytes() for r in ("mse", "minmax")]
    assert weights[0] != weights[1]


def test_calibration_of_an_int8_model_is_noted_and_not_used(tflite: Path, tmp_path: Path) -> None:
    calibration = write_images(tmp_path / "x.npy")
    outcome = succeeds("export", tflite, "-o", tmp_path / "out", "--calibration", calibration,
                       "--samples", 0)  # fmt: skip
    assert "--calibration is not used" in outcome.err


def write_tiny_board(path: Path) -> Path:
    """A board of the user's own on which no network fits."""
    text = (REPOSITORY / "firmware_export" / "boards" / "frdm-k64f.toml").read_text()
    text = text.replace('name = "frdm-k64f"', 'name = "tiny"')
    path.write_text(re.sub(r"size = [\w_ *]+", "size = 512", text))
    return path


def test_a_network_that_does_not_fit_ends_with_1(tflite: Path, tmp_path: Path) -> None:
    board, out = write_tiny_board(tmp_path / "tiny.toml"), tmp_path / "out"
    outcome = edgecnn_command("export", tflite, "-o", out, "--board", board, "--json")
    assert outcome.status == 1
    result = outcome.json
    assert result["board"] == "tiny"
    assert result["fit"]["fits"] is False
    for memory in ("ram", "flash"):
        share = result["fit"][memory]
        assert share["available"] == 512
        assert share["missing"] == share["used"] - 512
        assert sum(share["parts"].values()) == share["used"]
        assert f"{share['missing']:,} missing, in " in outcome.err
    assert result["fit"]["smallest_board"] == "stm32vldiscovery"
    assert re.fullmatch(r"edgecnn: error: small does not fit tiny: RAM .*\n", outcome.err)
    assert "stm32vldiscovery" in outcome.err
    # Nothing is half-written: the folder is whole, sound, and its report says the same.
    assert sorted(p.name for p in out.iterdir()) == result["files"]
    assert "tiny: the network does not fit." in (out / "report.html").read_text()
    assert succeeds("verify", out, "--samples", 1, "--json").json["passed"] is True


def test_analyze_says_what_would_help(tflite: Path, tmp_path: Path) -> None:
    board = write_tiny_board(tmp_path / "tiny.toml")
    outcome = succeeds("analyze", tflite, "--board", board)
    assert "missing" in outcome.out
    assert "What would help: a smaller input" in outcome.out
    assert "stm32vldiscovery" in outcome.out
    fit = succeeds("analyze", tflite, "--board", board, "--json").json["boards"]["tiny"]
    assert fit["smallest_board"] == "stm32vldiscovery"
    assert len(fit["remedies"]) == 3
    fitting = succeeds("analyze", tflite, "--board", "frdm-k64f").out
    assert "frdm-k64f: the network fits" in fitting
    assert " free, in SRAM_L and SRAM_U (arena " in fitting
    assert "would help" not in fitting


@pytest.mark.parametrize("command", ["analyze", "export"])
def test_a_wrong_board_file_ends_with_2(command: str, tflite: Path, tmp_path: Path) -> None:
    board = write_tiny_board(tmp_path / "tiny.toml")
    board.write_text(board.read_text().replace("wait_states = 4", ""))
    where = ("-o", tmp_path / "out") if command == "export" else ()
    outcome = edgecnn_command(command, tflite, *where, "--board", board)
    assert outcome.status == 2
    assert re.fullmatch(
        r"edgecnn: error: board file .*tiny.toml: field 'flash\[0\].wait_states' is missing\n",
        outcome.err,
    )
    assert not (tmp_path / "out").exists()


# --- verify -----------------------------------------------------------------------------------


def check_verified(report: dict, samples: int, runners: tuple[str, ...]) -> None:  # type: ignore[type-arg]
    assert report["passed"] is True
    assert report["reference"] == "tflm"
    assert report["samples"] == samples
    for name in runners:
        result = report["runners"][name]
        assert result["available"] is True
        assert result["values"] > 0
        assert result["mismatches"] == result["max_abs_diff"] == 0
        assert result["first_mismatch"] is None


def test_verify_a_folder(exported: tuple[Path, Outcome]) -> None:
    report = succeeds("verify", exported[0], "--samples", 20, "--json").json
    check_verified(report, 23, EXACT_RUNNERS)
    assert list(report["runners"])[:10] == [
        "numpy", "tflm", "tflite", "litert", "host-c",
        "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33",
    ]  # fmt: skip


def test_verify_a_file(tflite: Path) -> None:
    report = succeeds("verify", tflite, "--samples", 5, "--json").json
    check_verified(report, 8, EXACT_RUNNERS)


def test_verify_chosen_runners_on_chosen_inputs(
    exported: tuple[Path, Outcome], tmp_path: Path
) -> None:
    inputs = tmp_path / "x.npy"
    np.save(inputs, images(7).transpose(0, 2, 3, 1))
    report = succeeds("verify", exported[0], "--runners", "tflm, host-c", "--inputs", inputs,
                      "--json").json  # fmt: skip
    check_verified(report, 7, ("tflm", "host-c"))
    assert list(report["runners"]) == ["tflm", "host-c"]


def test_another_seed_draws_other_samples(exported: tuple[Path, Outcome]) -> None:
    from edgecnn.parity import random_feeds
    from tests.command_line import small_int8

    drawn = [random_feeds(small_int8(), 4, seed) for seed in (0, 0, 1)]
    name = small_int8().inputs[0]
    assert np.array_equal(drawn[0][name], drawn[1][name])
    assert not np.array_equal(drawn[0][name], drawn[2][name])
    succeeds("verify", exported[0], "--seed", 7, "--samples", 3)


def change_one_weight(directory: Path) -> None:
    """Flip the sign of the second weight of the last layer in the generated C."""
    path = directory / "small_weights.c"
    text = path.read_text()
    (*_, found) = re.finditer(r"int8_t small_\d+_weights\[\d+\] = \{\s*-?\d+, (-?\d+)", text)
    assert abs(int(found[1])) > 10
    path.write_text(f"{text[: found.start(1)]}{-int(found[1])}{text[found.end(1) :]}")


def test_one_changed_weight_byte_is_found_and_named(
    exported: tuple[Path, Outcome], tmp_path: Path
) -> None:
    import shutil

    directory = tmp_path / "changed"
    shutil.copytree(exported[0], directory)
    change_one_weight(directory)
    outcome = edgecnn_command("verify", directory, "--samples", 10, "--json")
    assert outcome.status == 1
    report = outcome.json
    assert report["passed"] is False
    wrong = report["runners"]["host-c"]
    assert wrong["mismatches"] > 0
    for name, runner in report["runners"].items():
        runs_the_c = name == "host-c" or name.startswith(("cortex-", "qemu-"))
        assert (runner["mismatches"] > 0) == (runs_the_c and runner["available"])
    tensors = json.loads((directory / "manifest.json").read_text())["tensors"]
    first = wrong["first_mismatch"]
    assert first["tensor"] == tensors[-1]["name"]
    assert first["got"] != first["expected"]
    line = outcome.err
    assert line.count("\n") == 1
    assert "host-c differs from tflm" in line
    assert f"tensor '{first['tensor']}'" in line


def test_a_parity_failure_in_words(exported: tuple[Path, Outcome], tmp_path: Path) -> None:
    import shutil

    directory = tmp_path / "changed"
    shutil.copytree(exported[0], directory)
    change_one_weight(directory)
    line = fails(1, "verify", directory, "--runners", "numpy,host-c", "--quiet")
    assert "host-c differs from numpy" in line


# --- evaluate, analyze, ops, boards -----------------------------------------------------------


def test_evaluate_a_float_model(pt2: Path, labelled: Path, tmp_path: Path) -> None:
    calibration = write_images(tmp_path / "x.npy")
    result = succeeds("evaluate", pt2, "--data", labelled, "--calibration", calibration,
                      "--json").json  # fmt: skip
    assert result["samples"] == 24
    assert result["float"]["accuracy"] == 1.0
    assert result["int8"]["accuracy"] == result["agreement"]


def test_evaluate_a_folder_and_its_model_alike(
    exported: tuple[Path, Outcome], tflite: Path, tmp_path: Path
) -> None:
    """The graph is NHWC in the file, so the labelled data are too."""
    with np.load(write_images(tmp_path / "nchw.npz", labels=True)) as data:
        x, y = data["x"].transpose(0, 2, 3, 1), data["y"]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    results = [
        succeeds("evaluate", target, "--data", tmp_path / "data.npz", "--json").json
        for target in (exported[0], tflite)
    ]
    assert results[0] == results[1]
    assert results[0]["float"] is None
    assert results[0]["agreement"] is None
    assert results[0]["int8"]["accuracy"] >= 0.9


def test_a_folder_takes_data_in_the_layout_of_its_model(
    pt2: Path, labelled: Path, tmp_path: Path
) -> None:
    """Exported from torch, so NCHW, although the .tflite inside is NHWC."""
    succeeds("export", pt2, "-o", tmp_path / "out", "--calibration",
             write_images(tmp_path / "x.npy"), "--samples", 0)  # fmt: skip
    result = succeeds("evaluate", tmp_path / "out", "--data", labelled, "--json").json
    assert result["int8"]["accuracy"] >= 0.9


@pytest.mark.parametrize("kind", ["pt2", "tflite"])
def test_analyze(kind: str, request: pytest.FixtureRequest) -> None:
    result = succeeds("analyze", request.getfixturevalue(kind), "--json").json
    assert result["macs"] == 8 * 8 * 4 * 9 + 8 * 8 * 4 * 4 * 9 + 640
    assert result["parameters"] == (4 * 9 + 4) + (4 * 4 * 9 + 4) + (640 + 10)
    assert result["operators"]["conv2d"] == 2
    assert result["unsupported"] == []
    assert result["arena_bytes"] > 0
    assert result["weight_bytes"] > 0
    assert len(result["boards"]) >= 9
    for fit in result["boards"].values():
        assert {"fits", "ram_used", "ram_available", "flash_used", "flash_available"} <= set(fit)
        assert fit["fits"] is True


def test_analyze_one_board(tflite: Path) -> None:
    result = succeeds("analyze", tflite, "--board", "microbit-v2", "--json").json
    assert list(result["boards"]) == ["microbit-v2"]


def test_ops_and_boards() -> None:
    operators = succeeds("ops", "--json").json
    assert {"conv2d", "depthwise_conv2d", "fully_connected", "softmax"} <= set(operators)
    assert operators["conv2d"]["TFLite in"] == "CONV_2D"
    boards = succeeds("boards", "--json").json
    assert boards["frdm-k64f"]["core"] == "cortex-m4"
    assert boards["frdm-k64f"]["wait_states"] == 4
    assert boards["frdm-k64f"]["flash"][0]["accelerator"]
    assert "conv2d" in succeeds("ops").out
    assert "frdm-k64f" in succeeds("boards").out


# --- how it is said ---------------------------------------------------------------------------


def test_quiet_prints_nothing(
    exported: tuple[Path, Outcome], pt2: Path, tflite: Path, labelled: Path, tmp_path: Path
) -> None:
    calibration = write_images(tmp_path / "x.npy")
    commands: list[tuple[object, ...]] = [
        ("export", tflite, "-o", tmp_path / "out", "--samples", 0, "--calibration", calibration),
        ("verify", exported[0], "--samples", 1),
        ("evaluate", pt2, "--data", labelled, "--calibration", calibration),
        ("analyze", tflite),
        ("ops",),
        ("boards",),
    ]
    for command in commands:
        outcome = succeeds(*command, "--quiet")
        assert (outcome.out, outcome.err) == ("", ""), command


def test_a_process_keeps_stdout_for_the_json(exported: tuple[Path, Outcome]) -> None:
    """Not even the interpreters' own C++ logs get in between."""
    command = [sys.executable, "-m", "edgecnn", "verify", str(exported[0]), "--samples", "1"]
    result = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert json.loads(result.stdout)["passed"] is True
    quiet = subprocess.run(
        [*command, "--quiet"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_words_on_stdout_nothing_on_stderr(exported: tuple[Path, Outcome]) -> None:
    outcome = succeeds("verify", exported[0], "--samples", 1)
    assert outcome.err == ""
    assert "every byte is equal on numpy, tflm, tflite, litert, host-c" in outcome.out


def read_all(descriptor: int, process: subprocess.Popen[bytes]) -> bytes:
    text = b""
    while process.poll() is None or select.select([descriptor], [], [], 0.2)[0]:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                text += os.read(descriptor, 65536)
            except OSError:  # the other end is closed
                break
    return text


def test_progress_shows_on_a_terminal(exported: tuple[Path, Outcome]) -> None:
    terminal, other = pty.openpty()
    command = [sys.executable, "-m", "edgecnn", "verify", str(exported[0]), "--samples", "20"]
    with subprocess.Popen(
        [*command, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=other,
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(other)
        shown = read_all(terminal, process)
    os.close(terminal)
    assert process.returncode == 0
    assert b"loading" in shown or b"verified" in shown


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh process holds after some code."""
    code += "\nimport sys; print(' '.join({m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return set(result.stdout.splitlines()[-1].split())


HEAVY = {
    "torch", "onnx", "matplotlib", "sklearn", "scipy",
    "tflite_micro", "tflite_runtime", "ai_edge_litert", "jinja2",
}  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["export", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = modules_after(f"from edgecnn import cli; assert cli.run({arguments}) == 0")
    assert "edgecnn" in loaded
    assert loaded & (HEAVY | {"numpy", "firmware_export"}) == set()


@pytest.mark.parametrize(
    "command", [["export", "MODEL", "-o", "OUT", "--samples", "0"], ["analyze", "MODEL"]]
)
def test_tflite_models_never_need_torch(command: list[str], tflite: Path, tmp_path: Path) -> None:
    words = {"MODEL": str(tflite), "OUT": str(tmp_path / "out")}
    arguments = [words.get(word, word) for word in command]
    loaded = modules_after(f"from edgecnn import cli; assert cli.run({arguments}) == 0")
    assert "numpy" in loaded
    assert "torch" not in loaded


def test_help_and_version() -> None:
    outcome = succeeds("--help")
    for command in ("export", "analyze", "verify", "evaluate", "ops", "boards", "demo"):
        assert re.search(rf"\b{command}\b", outcome.out)
    assert succeeds("--version").out == f"edgecnn {edgecnn.__version__}\n"
