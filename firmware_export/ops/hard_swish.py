"""Writes hard swish: HARD_SWISH, and ``edgecnn_table``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from firmware_export.table_layer import TableExporter
from firmware_export.tflite_writer import TfliteWriter


class HardSwishExporter(TableExporter):
    """Writes hard_swish."""

    version = 1

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("HARD_SWISH", self.version, inputs, outputs)


EXPORTER = HardSwishExporter()
