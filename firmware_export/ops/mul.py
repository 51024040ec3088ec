"""Writes products: MUL and ``edgecnn_mul``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.mul import MulParams
from firmware_export.broadcast_layer import broadcast_layer, write_binary
from firmware_export.exporters import CLayer, Exporter, FieldValue
from firmware_export.tflite_writer import TfliteWriter


class MulExporter(Exporter[MulParams]):
    """Writes mul."""

    version = 2
    wide_version = 4

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.MulOptionsT()
        write_binary("MUL", self.version_of(node, graph), node, writer, options)

    def layer(self, node: Node, graph: Graph, params: MulParams) -> CLayer:
        p = params
        fields: dict[str, FieldValue] = {
            "input_zero_point": p.input_zero_points,
            "multiplier": p.multiplier,
            "shift": p.shift,
            "output_zero_point": p.output_zero_point,
            "activation_min": p.activation_min,
            "activation_max": p.activation_max,
        }
        if p.dtype == INT16:  # without zero points
            fields = {n: v for n, v in fields.items() if not n.endswith("zero_point")}
        return broadcast_layer("mul", p, fields)


EXPORTER = MulExporter()
