"""Compiled networks that live as long as a computation needs them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgecnn.ir import Graph
from edgecnn.parity import Artifact
from firmware_export.c_writer import Provenance, to_c
from firmware_export.exporters import CLayer
from firmware_export.runners.host_c import HostCSession
from firmware_export.streaming.stream import Stream

_NAME = "network"


@contextmanager
def generated(
    graph: Graph,
    tflite: bytes = b"",
    chosen: Mapping[str, CLayer] | None = None,
    stream: Stream | None = None,
) -> Iterator[Artifact]:
    """An int8 graph with its C in a folder that goes away, and a ``.tflite`` file beside it.

    ``chosen`` are fast layers, and ``stream`` those in bands, as `to_c` takes them; the others are
    portable.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        network = to_c(graph, _NAME, Provenance("", "", ""), chosen=chosen, stream=stream)
        for name, text in network.files.items():
            (Path(folder) / name).write_text(text)
        is_fed = stream is not None and stream.is_fed
        yield Artifact(graph, tflite, _NAME, Path(folder), is_fed=is_fed)


@contextmanager
def compiled(graph: Graph, artifact: Artifact | None = None) -> Iterator[HostCSession]:
    """The fastest exact runner: generated C, compiled for this machine.

    Of an exported folder (``artifact``), or of an int8 graph.
    """
    if artifact is not None and artifact.c_directory is not None:
        yield HostCSession(artifact, trace=False)
        return
    with generated(graph) as scratch:
        yield HostCSession(scratch, trace=False)
