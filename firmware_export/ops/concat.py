"""Writes concatenations: CONCATENATION and ``edgecnn_concat``."""

from __future__ import annotations

import math

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.concat import MAX_INPUTS, ConcatAttributes
from firmware_export import distances
from firmware_export.bytewise import as_bytes, value_bytes
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class ConcatExporter(Exporter[MoveParams[ConcatAttributes]]):
    """Writes concat."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, ConcatAttributes)
        options = writer.schema.ConcatenationOptionsT()
        options.axis = a.axis
        options.fusedActivationFunction = writer.activation("none")
        inputs = [writer.tensor(name) for name in node.inputs]
        outputs = [writer.tensor(node.output)]
        version = self.version_of(node, graph)
        writer.operator("CONCATENATION", version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[ConcatAttributes]) -> CLayer:
        axis = params.attributes.axis
        size = value_bytes(graph, node)
        sizes = [size * math.prod(shape[axis:]) for shape in params.input_shapes]
        rows = math.prod(params.output_shapes[0][:axis])
        return CLayer(
            kernel="concat",
            fields={
                "rows": rows,
                "count": len(sizes),
                "sizes": sizes + [0] * (MAX_INPUTS - len(sizes)),
            },
            constants={
                i: CArray(data if size == 1 else as_bytes(data), "as the tensor")
                for i, data in enumerate(params.constants)
                if data is not None
            },
            joins_inputs=True,
            is_bytewise=True,
            overlaps=distances.concatenated(rows, sizes),
        )


EXPORTER = ConcatExporter()
