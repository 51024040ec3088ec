"""Float ends on emulated cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.operators import operator
from edgecnn.parity import draw_feeds, verify
from firmware_export.device.cores import CORES
from firmware_export.runners import numpy_simulator
from firmware_export.runners.cortex_m import CortexMRunner
from tests.float_ends import exported
from tests.ops.case_table import Case, Value, build


@pytest.mark.parametrize("name", ["net", "an_input_and_output"])
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_floats_in_and_out(core: str, name: str, tmp_path: Path) -> None:
    """Whatever the network is called: its functions are named after it."""
    attributes = operator("add").attributes()
    inputs = (Value((1, 3), 0.1, 3), Value((1, 3), 0.2, -7))
    graph = build([Case("y", "add", inputs, attributes, (0.3, 5))], name)
    artifact = exported(graph, tmp_path)
    runners = [numpy_simulator.RUNNER, CortexMRunner(CORES[core])]
    report = verify(artifact, runners, draw_feeds(artifact, 20, 0))
    assert report.passed, report.summary()
    assert report.runners[1].tensors == 4
