"""Writes DEPTH_TO_SPACE and ``edgecnn_depth_to_space``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.depth_to_space import DepthToSpaceAttributes
from firmware_export.copy_layer import copy_layer
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class DepthToSpaceExporter(Exporter[MoveParams[DepthToSpaceAttributes]]):
    """Writes depth_to_space."""

    version = 1

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, DepthToSpaceAttributes)
        options = writer.schema.DepthToSpaceOptionsT()
        options.blockSize = a.block
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("DEPTH_TO_SPACE", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[DepthToSpaceAttributes]) -> CLayer:
        (n, h, w, c), block = params.input_shapes[0], params.attributes.block
        shape = (n * h, block, w, block, c // (block * block))
        return copy_layer(
            "depth_to_space", shape, (w * c, c // block, c, c // (block * block), 1), n * h * w * c
        )


EXPORTER = DepthToSpaceExporter()
