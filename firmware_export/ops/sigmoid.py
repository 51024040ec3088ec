"""Writes sigmoid: LOGISTIC, and ``edgecnn_table`` or ``edgecnn_sigmoid_int16``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from firmware_export.curve_layer import CurveExporter
from firmware_export.tflite_writer import TfliteWriter


class SigmoidExporter(CurveExporter):
    """Writes sigmoid."""

    version = 2
    wide_version = 3
    wide_kernel = "sigmoid_int16"

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("LOGISTIC", self.version_of(node, graph), inputs, outputs)


EXPORTER = SigmoidExporter()
