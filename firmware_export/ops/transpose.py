"""Writes transposes: TRANSPOSE and ``edgecnn_transpose``."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.transpose import MAX_RANK, TransposeAttributes, TransposeParams
from firmware_export import distances
from firmware_export.bytewise import value_bytes, with_bytes
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import left_pad, row_major
from firmware_export.tflite_writer import TfliteWriter


class TransposeExporter(Exporter[TransposeParams]):
    """Writes transpose."""

    version = 2
    wide_version = 5

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, TransposeAttributes)
        order = np.array(a.permutation, np.int32)
        inputs = [writer.tensor(node.inputs[0]), writer.constant(f"{node.output}_order", order)]
        options, version = writer.schema.TransposeOptionsT(), self.version_of(node, graph)
        writer.operator("TRANSPOSE", version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: TransposeParams) -> CLayer:
        strides = row_major(params.input_shape)
        order = params.permutation
        shape = tuple(params.input_shape[axis] for axis in order)
        size = value_bytes(graph, node)
        shape, steps = with_bytes(shape, [strides[axis] for axis in order], size)
        return CLayer(
            kernel="transpose",
            fields={
                "shape": left_pad(shape, MAX_RANK, 1),
                "strides": left_pad(steps, MAX_RANK, 0),
            },
            is_bytewise=True,
            overlaps=distances.moves(distances.walk(shape, steps), math.prod(shape)),
        )


EXPORTER = TransposeExporter()
