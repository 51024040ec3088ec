"""Writes splits: SPLIT or SPLIT_V, and ``edgecnn_split``."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.split import SplitAttributes
from firmware_export.bytewise import value_bytes
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class SplitExporter(Exporter[MoveParams[SplitAttributes]]):
    """Writes split."""

    version = 2
    wide_version = 4

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SplitAttributes)
        x = writer.tensor(node.inputs[0])
        outputs = [writer.tensor(name) for name in node.outputs]
        axis = writer.constant(f"{node.output}_axis", np.array(a.axis, np.int32))
        if len(set(a.sizes)) == 1:
            options = writer.schema.SplitOptionsT()
            options.numSplits = len(a.sizes)
            version = self.version_of(node, graph)
            writer.operator("SPLIT", version, [axis, x], outputs, options)
        else:
            options = writer.schema.SplitVOptionsT()
            options.numSplits = len(a.sizes)
            sizes = writer.constant(f"{node.output}_sizes", np.array(a.sizes, np.int32))
            writer.operator("SPLIT_V", self.version, [x, sizes, axis], outputs, options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[SplitAttributes]) -> CLayer:
        axis = params.attributes.axis
        size = value_bytes(graph, node)
        sizes = [size * math.prod(shape[axis:]) for shape in params.output_shapes]
        return CLayer(
            kernel="split",
            fields={
                "sizes": CArray(np.array(sizes, np.int32), "bytes of a row of each output"),
                "rows": math.prod(params.input_shapes[0][:axis]),
                "count": len(sizes),
            },
            joins_outputs=True,
            is_bytewise=True,
            # In row r, r rows of the first output are written, r whole rows of the input read.
            overlaps=IN_PLACE,
        )


EXPORTER = SplitExporter()
