"""Two processes that profile one export say the same, to the last digit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgecnn
from firmware_export.device.build import COMPILERS
from tests.conftest import REPOSITORY
from tests.ops.case_table import build
from tests.ops.test_conv2d import CASES

_PROFILE = """
import json, sys
from pathlib import Path
from firmware_export.device.profile import profile_export
from firmware_export.device.target import choose
found = profile_export(Path(sys.argv[1]), choose(sys.argv[2], None), sys.argv[3])
print(json.dumps(found.to_json()))
"""


def profiled(directory: Path, cpu: str, compiler: str, seed: str) -> str:
    """What a new process prints, whose hashes of strings come from ``seed``."""
    result = subprocess.run(
        [sys.executable, "-c", _PROFILE, str(directory), cpu, compiler],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arm_compiler", COMPILERS, indirect=True)
def test_profiles_are_equal(arm_compiler: str, tmp_path: Path) -> None:
    graph = build(CASES, "convolutions")
    edgecnn.export(graph, tmp_path / "out", samples=0, runners="numpy")
    first, second = (
        profiled(tmp_path / "out", "cortex-m4", arm_compiler, seed) for seed in ("1", "2")
    )
    assert first == second
    facts = json.loads(first)
    assert len(facts["layers"]) == len(CASES)
    assert all(layer["cycles"] > layer["macs"] / 2 for layer in facts["layers"])
