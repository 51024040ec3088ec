"""Networks with float ends, and the reals that show how they round."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecnn.float_io import MAX_STEPS
from edgecnn.ir import MAX_SCALE, Array, Graph
from edgecnn.parity import Artifact
from firmware_export.c_writer import to_c
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import PROVENANCE

#: The ends of what a scale can be: subnormal and smallest normal float32, the largest taken.
EXTREME_SCALES = (1e-45, 1e-40, 2.0**-126, 2.0**-100, 2.0**-20, 1.0, 3.0, 2.0**64, MAX_SCALE)


def write_float_c(graph: Graph, directory: Path) -> None:
    for file, text in to_c(graph, graph.name, PROVENANCE, float_io=True).files.items():
        (directory / file).write_text(text)


def exported(graph: Graph, directory: Path) -> Artifact:
    """A network with float ends, as ``.tflite`` and as C."""
    write_float_c(graph, directory)
    data = to_tflite(graph, float_io=True)
    return Artifact(graph, data, graph.name, directory, float_io=True)


def around_every_tie(scale: float, zero_point: int) -> Array:
    """Steps and ties from -260 to 260 with two neighbours each, and ends that float32 can hold."""
    steps = np.arange(-520, 521) / 2 - zero_point
    with np.errstate(over="ignore"):
        exact = (steps * scale).astype(np.float32)
        ends = np.array([1e3, 1e6, MAX_STEPS - 128, MAX_STEPS]) * np.float64(np.float32(scale))
    sides = [np.nextafter(exact, np.float32(side)) for side in (-np.inf, np.inf)]
    signs = [np.zeros(1), np.full(1, -0.0), ends, -ends]
    with np.errstate(over="ignore"):
        values = np.concatenate([exact, *sides, *signs]).astype(np.float32)
    return np.where(np.abs(values / np.float32(scale)) <= MAX_STEPS, values, np.float32(0))
