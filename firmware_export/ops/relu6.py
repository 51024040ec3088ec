"""Writes ReLU6: RELU6 and ``edgecnn_relu6``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.relu6 import Relu6Params
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class Relu6Exporter(Exporter[Relu6Params]):
    """Writes relu6."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("RELU6", self.version_of(node, graph), inputs, outputs)

    def layer(self, node: Node, graph: Graph, params: Relu6Params) -> CLayer:
        p = params
        return CLayer(
            kernel="relu6_int16" if p.dtype == INT16 else "relu6",
            fields={
                "size": p.size,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
            overlaps=IN_PLACE,
        )


EXPORTER = Relu6Exporter()
