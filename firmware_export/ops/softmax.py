"""Writes softmax: SOFTMAX and ``edgecnn_softmax``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.softmax import SoftmaxAttributes, SoftmaxParams
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class SoftmaxExporter(Exporter[SoftmaxParams]):
    """Writes softmax."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SoftmaxAttributes)
        options = writer.schema.SoftmaxOptionsT()
        options.beta = a.beta
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("SOFTMAX", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: SoftmaxParams) -> CLayer:
        p = params
        return CLayer(
            kernel="softmax",
            fields={
                "rows": p.rows,
                "depth": p.depth,
                "multiplier": p.multiplier,
                "left_shift": p.left_shift,
                "difference_min": p.difference_min,
            },
            overlaps=IN_PLACE,
        )


EXPORTER = SoftmaxExporter()
