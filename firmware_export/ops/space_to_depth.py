"""Writes SPACE_TO_DEPTH and ``edgecnn_space_to_depth``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.space_to_depth import SpaceToDepthAttributes
from firmware_export.copy_layer import copy_layer
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class SpaceToDepthExporter(Exporter[MoveParams[SpaceToDepthAttributes]]):
    """Writes space_to_depth."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SpaceToDepthAttributes)
        options = writer.schema.SpaceToDepthOptionsT()
        options.blockSize = a.block
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("SPACE_TO_DEPTH", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[SpaceToDepthAttributes]) -> CLayer:
        (n, h, w, c), block = params.input_shapes[0], params.attributes.block
        shape = (n * h // block, w // block, block, block, c)
        return copy_layer(
            "space_to_depth", shape, (block * w * c, block * c, w * c, c, 1), n * h * w * c
        )


EXPORTER = SpaceToDepthExporter()
