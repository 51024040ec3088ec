"""Writes mirroring borders: MIRROR_PAD and ``edgecnn_mirror_pad``."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.mirror_pad import MirrorPadAttributes
from firmware_export import distances
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import left_pad, row_major
from firmware_export.tflite_writer import TfliteWriter

KERNEL_RANK = 4


class MirrorPadExporter(Exporter[MoveParams[MirrorPadAttributes]]):
    """Writes mirror_pad."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, MirrorPadAttributes)
        modes = writer.schema.MirrorPadMode
        options = writer.schema.MirrorPadOptionsT()
        options.mode = modes.SYMMETRIC if a.repeats_edge else modes.REFLECT
        amounts = writer.constant(f"{node.output}_paddings", np.array(a.paddings, np.int32))
        inputs = [writer.tensor(node.inputs[0]), amounts]
        writer.operator("MIRROR_PAD", self.version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[MirrorPadAttributes]) -> CLayer:
        shape, a = params.input_shapes[0], params.attributes
        places = distances.walk(shape, row_major(shape))
        sources = np.pad(places, a.paddings, "symmetric" if a.repeats_edge else "reflect")
        return CLayer(
            kernel="mirror_pad",
            fields={
                "shape": left_pad(params.output_shapes[0], KERNEL_RANK, 1),
                "begin": left_pad([before for before, _ in a.paddings], KERNEL_RANK, 0),
                "size": left_pad(shape, KERNEL_RANK, 1),
                "stride": left_pad(row_major(shape), KERNEL_RANK, 0),
                "edge": int(a.repeats_edge),
            },
            overlaps=distances.moves(sources, math.prod(shape)),
        )


EXPORTER = MirrorPadExporter()
