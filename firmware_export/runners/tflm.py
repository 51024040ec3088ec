"""TensorFlow Lite Micro, the oracle: package tflite-micro."""

from __future__ import annotations

from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.interpreters import TflmSession, missing_package


class TflmRunner:
    """TensorFlow Lite Micro's interpreter with its reference kernels."""

    name = "tflm"
    dialect = Dialect.TFLM

    def unavailable(self, artifact: Artifact) -> str | None:
        """Needs the package tflite-micro."""
        return missing_package("tflite_micro", "tflite-micro")

    def open(self, artifact: Artifact) -> TflmSession:
        """Load the ``.tflite`` file."""
        return TflmSession(artifact)


RUNNER = TflmRunner()
