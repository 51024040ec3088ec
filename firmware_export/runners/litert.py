"""TFLite's successor: package ai-edge-litert with the reference resolver."""

from __future__ import annotations

from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.interpreters import TfliteSession, missing_package


class LitertRunner:
    """ai-edge-litert 2.3's interpreter with its reference kernels."""

    name = "litert"
    dialect = Dialect.LITERT

    def unavailable(self, artifact: Artifact) -> str | None:
        """Needs the package ai-edge-litert."""
        return missing_package("ai_edge_litert", "ai-edge-litert")

    def open(self, artifact: Artifact) -> TfliteSession:
        """Load the ``.tflite`` file."""
        from ai_edge_litert import interpreter

        return TfliteSession(artifact, interpreter)


RUNNER = LitertRunner()
