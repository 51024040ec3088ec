"""The second witness: package tflite-runtime with the reference resolver."""

from __future__ import annotations

from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.interpreters import TfliteSession, missing_package


class TfliteRuntimeRunner:
    """tflite-runtime 2.14's interpreter with its reference kernels."""

    name = "tflite"
    dialect = Dialect.TFLITE

    def unavailable(self, artifact: Artifact) -> str | None:
        """Needs the package tflite-runtime, which ends with Python 3.11."""
        return missing_package("tflite_runtime", "tflite-runtime")

    def open(self, artifact: Artifact) -> TfliteSession:
        """Load the ``.tflite`` file."""
        from tflite_runtime import interpreter

        return TfliteSession(artifact, interpreter)


RUNNER = TfliteRuntimeRunner()
