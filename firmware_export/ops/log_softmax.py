"""Writes log-softmax: LOG_SOFTMAX and ``edgecnn_log_softmax``."""

from __future__ import annotations

import dataclasses

from edgecnn.ir import Graph, Node
from edgecnn.ops.log_softmax import LogSoftmaxParams
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class LogSoftmaxExporter(Exporter[LogSoftmaxParams]):
    """Writes log_softmax."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.LogSoftmaxOptionsT()
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("LOG_SOFTMAX", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: LogSoftmaxParams) -> CLayer:
        return CLayer("log_softmax", dataclasses.asdict(params), overlaps=IN_PLACE)


EXPORTER = LogSoftmaxExporter()
