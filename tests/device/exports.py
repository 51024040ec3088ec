"""A small exported network for the tests of emulated cores."""

from __future__ import annotations

from pathlib import Path

from edgecnn.ir import Graph
from edgecnn.parity import Artifact
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import write_c
from tests.passes.int8_graphs import arbitrary_int8
from tests.torch_helpers import imported


def small_graph() -> Graph:
    """Convolution, ReLU, pooling, fully connected, softmax."""
    from torch import nn

    from edgecnn.passes import pipeline

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 5),
        nn.Softmax(1),
    )  # fmt: skip
    graph, _ = imported(module.eval(), (1, 3, 8, 8))
    return arbitrary_int8(pipeline.run(graph)).replace(name="net")


def small_export(folder: Path) -> Artifact:
    """Its C in a folder."""
    graph = small_graph()
    write_c(graph, folder)
    return Artifact(graph, to_tflite(graph), "net", folder)
