"""Runs a network on an emulated core and compares every tensor with what numpy computes.

`check_exact` looks at the bytes, `check_accesses` at the memory that the code touches.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.ir import Graph
from edgecnn.parity import Artifact, Runner, random_feeds, verify
from firmware_export.device.cores import CORES
from firmware_export.device.profile import profile
from firmware_export.device.target import choose
from firmware_export.runners import numpy_simulator
from firmware_export.runners.cortex_m import CortexMRunner
from tests.ops.case_table import write_c

RANDOM_SAMPLES, EXTREMES = 2, 3


def written(graph: Graph, directory: Path) -> Artifact:
    write_c(graph, directory)
    return Artifact(graph, b"", graph.name, directory)


def check_accesses(graph: Graph, directory: Path, core: str, compiler: str) -> None:
    """No access leaves what the program owns; on the Cortex-M0+ all are aligned.

    Counting holds every access to that, and raises `DeviceError`.
    """
    found = profile(
        written(graph, directory), choose(core, None), weight_bytes=0, compiler=compiler
    )
    assert found.total.instructions > 0


def check_exact(graph: Graph, directory: Path, core: str, compiler: str) -> None:
    """Samples of extremes and of random bytes give the same bytes, in every tensor."""
    check_runner(graph, directory, CortexMRunner(CORES[core], compiler))


def check_runner(graph: Graph, directory: Path, runner: Runner) -> None:
    """The same of any runner."""
    artifact = written(graph, directory)
    feeds = random_feeds(graph, RANDOM_SAMPLES, 0)
    result = verify(artifact, [numpy_simulator.RUNNER, runner], feeds).runners[1]
    assert result.available, result.reason
    assert result.tensors == len(graph.activations())
    assert result.samples == RANDOM_SAMPLES + EXTREMES
    assert result.mismatches == 0, (runner, result.first_mismatch)
