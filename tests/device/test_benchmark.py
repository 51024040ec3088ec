"""The benchmark of emulated cores measures, compares, and says what it had to skip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, shared_root

SCRIPT = REPOSITORY / "benchmarks" / "on_device.py"


def run(output: Path, *options: str, **environment: str) -> tuple[str, dict[str, Any]]:
    """What it prints, and the JSON that it writes."""
    command = [sys.executable, str(SCRIPT), "--model", "ad01_int8", "-o", str(output), *options]
    shared = {"EDGECNN_SHARED": str(shared_root())}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, **shared, **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads(output.read_text())


@pytest.mark.parametrize("arm_compiler", ["clang"], indirect=True)
def test_rows(arm_compiler: str, shared_path: Callable[[str], Path], tmp_path: Path) -> None:
    shared_path("models/mlperf_tiny/ad01_int8.tflite")
    cores = ("--cpu", "cortex-m4", "--cpu", "cortex-m33")
    printed, found = run(tmp_path / "out.json", *cores, "--compiler", arm_compiler)
    m4, m33 = found["rows"]
    assert (m4["cpu"], m33["cpu"]) == ("cortex-m4", "cortex-m33")
    for row in (m4, m33):
        assert row["exact"]
        assert row["macs"] == 264_192 == sum(layer["macs"] for layer in row["layers"])
        assert row["cycles"] >= row["instructions"] * 0.9
        assert row["arena_bytes"] == 768
        assert row["weight_bytes"] > 264_192 > row["code_bytes"]
    times = m4["times_the_cycles_of"]
    assert times["cmsis_nn"] == m4["cycles"] / 719_207
    assert times["best_published"] == m4["cycles"] / 486_000
    assert m33["times_the_cycles_of"]["cmsis_nn"] is None
    assert m33["cycles_are_estimated"]
    assert f"{m4['cycles'] / 1e6:.2f}" in printed
    assert f"~{m33['cycles'] / 1e6:.2f}" in printed
    assert printed.count("exact") == 2


def test_a_missing_compiler(shared_path: Callable[[str], Path], tmp_path: Path) -> None:
    shared_path("models/mlperf_tiny/ad01_int8.tflite")
    options = ("--cpu", "cortex-m4", "--compiler", "gcc")
    printed, found = run(tmp_path / "out.json", *options, PATH=str(tmp_path))
    (row,) = found["rows"]
    assert row["skipped"] == "arm-none-eabi-gcc is not installed"
    assert "skipped: arm-none-eabi-gcc is not installed" in printed


def test_no_models(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False,
        env={**os.environ, "EDGECNN_SHARED": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "set EDGECNN_SHARED" in result.stderr
