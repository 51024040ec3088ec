"""Writes ReLU: RELU and ``edgecnn_relu``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.relu import ReluParams
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class ReluExporter(Exporter[ReluParams]):
    """Writes relu."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("RELU", self.version_of(node, graph), inputs, outputs)

    def layer(self, node: Node, graph: Graph, params: ReluParams) -> CLayer:
        p = params
        if p.dtype == INT16:
            fields = {"size": p.size, "multiplier": p.multiplier, "shift": p.shift}
            return CLayer(kernel="relu_int16", fields=fields, overlaps=IN_PLACE)
        return CLayer(
            kernel="relu",
            fields={
                "size": p.size,
                "multiplier": p.multiplier,
                "shift": p.shift,
                "input_zero_point": p.input_zero_point,
                "output_zero_point": p.output_zero_point,
            },
            overlaps=IN_PLACE,
        )


EXPORTER = ReluExporter()
