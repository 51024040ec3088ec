"""Writes PReLU: PRELU and ``edgecnn_prelu``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.prelu import PreluParams
from firmware_export.broadcast_layer import broadcast_layer, write_binary
from firmware_export.exporters import CLayer, Exporter, FieldValue
from firmware_export.tflite_writer import TfliteWriter


class PreluExporter(Exporter[PreluParams]):
    """Writes prelu."""

    version = 1

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_binary("PRELU", self.version, node, writer)

    def layer(self, node: Node, graph: Graph, params: PreluParams) -> CLayer:
        p = params
        fields: dict[str, FieldValue] = {
            "input_zero_point": p.input_zero_points,
            "positive_multiplier": p.positive_multiplier,
            "positive_shift": p.positive_shift,
            "negative_multiplier": p.negative_multiplier,
            "negative_shift": p.negative_shift,
            "output_zero_point": p.output_zero_point,
        }
        return broadcast_layer("prelu", p, fields)


EXPORTER = PreluExporter()
