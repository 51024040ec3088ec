"""Writes L2 normalization: L2_NORMALIZATION and ``edgecnn_l2_normalization``."""

from __future__ import annotations

import dataclasses

from edgecnn.ir import Graph, Node
from edgecnn.ops.l2_normalization import L2NormalizationParams
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class L2NormalizationExporter(Exporter[L2NormalizationParams]):
    """Writes l2_normalization."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.L2NormOptionsT()
        options.fusedActivationFunction = writer.activation("none")
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("L2_NORMALIZATION", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: L2NormalizationParams) -> CLayer:
        return CLayer("l2_normalization", dataclasses.asdict(params), overlaps=IN_PLACE)


EXPORTER = L2NormalizationExporter()
