"""Training on several processes: all come to the same parameters, ranges and statistics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

import edgecnn
from tests.conftest import REPOSITORY


def test_two_processes_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = ["-m", "tests.qat.distributed_worker", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        command + script, cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert int(first["ranges.seen"]) == 3
    assert int(first["steps"]) == int(first["module.1.num_batches_tracked"]) == 6
    used = first["ranges.found"].abs().sum(1) > 0
    assert bool(first["ranges.factors"][used].any())
    # The inputs of the second process are twice those of the first: both have a part in the range.
    low, high = first["ranges.found"][0].tolist()
    assert -6 < low < -2.5
    assert 2.5 < high < 6
    assert edgecnn.load(tmp_path / "network.tflite").is_quantized
