"""Writes leaky ReLU: LEAKY_RELU, and ``edgecnn_table``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.leaky_relu import LeakyReluAttributes
from firmware_export.table_layer import TableExporter
from firmware_export.tflite_writer import TfliteWriter


class LeakyReluExporter(TableExporter):
    """Writes leaky_relu."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, LeakyReluAttributes)
        options = writer.schema.LeakyReluOptionsT()
        options.alpha = a.alpha
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("LEAKY_RELU", self.version, inputs, outputs, options)


EXPORTER = LeakyReluExporter()
