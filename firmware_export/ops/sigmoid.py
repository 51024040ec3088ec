"""Writes sigmoid: LOGISTIC, and ``edgecnn_table``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from firmware_export.table_layer import TableExporter
from firmware_export.tflite_writer import TfliteWriter


class SigmoidExporter(TableExporter):
    """Writes sigmoid."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("LOGISTIC", self.version, inputs, outputs)


EXPORTER = SigmoidExporter()
