"""Writes slices: SLICE or STRIDED_SLICE, and ``edgecnn_slice``."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.slice import Part, SliceAttributes
from firmware_export.bytewise import value_bytes, with_bytes
from firmware_export.copy_layer import copy_layer
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import row_major
from firmware_export.tflite_writer import TfliteWriter


def _parts(attributes: SliceAttributes, shape: tuple[int, ...]) -> list[Part]:
    pairs = zip(attributes.parts, shape, strict=True)
    return [Part(0, n) if part is None else part for part, n in pairs]


class SliceExporter(Exporter[MoveParams[SliceAttributes]]):
    """Writes slice."""

    version = 2
    wide_version = 4

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SliceAttributes)
        parts = _parts(a, graph.tensors[node.inputs[0]].shape)
        if a.is_strided:
            self._write_strided(node, parts, writer)
            return
        begin = np.array([part.begin for part in parts], np.int32)
        size = np.array([part.size for part in parts], np.int32)
        inputs = [
            writer.tensor(node.inputs[0]),
            writer.constant(f"{node.output}_begin", begin),
            writer.constant(f"{node.output}_size", size),
        ]
        outputs = [writer.tensor(node.output)]
        version = self.version_of(node, graph)
        writer.operator("SLICE", version, inputs, outputs, writer.schema.SliceOptionsT())

    def _write_strided(self, node: Node, parts: list[Part], writer: TfliteWriter) -> None:
        """An end before the first value cannot be written, since -1 is the last: it is masked."""
        ends = [part.begin + part.size * part.step for part in parts]
        options = writer.schema.StridedSliceOptionsT()
        options.endMask = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
        inputs = [writer.tensor(node.inputs[0])]
        for suffix, values in (
            ("begin", [part.begin for part in parts]),
            ("end", [max(end, 0) for end in ends]),
            ("strides", [part.step for part in parts]),
        ):
            inputs.append(writer.constant(f"{node.output}_{suffix}", np.array(values, np.int32)))
        writer.operator("STRIDED_SLICE", 2, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[SliceAttributes]) -> CLayer:
        shape = params.input_shapes[0]
        parts, strides = _parts(params.attributes, shape), row_major(shape)
        steps = [part.step * stride for part, stride in zip(parts, strides, strict=True)]
        offset = sum(part.begin * stride for part, stride in zip(parts, strides, strict=True))
        size = value_bytes(graph, node)
        output, steps_in_bytes = with_bytes(params.output_shapes[0], steps, size)
        total = size * math.prod(shape)
        return copy_layer("slice", output, steps_in_bytes, total, size * offset)


EXPORTER = SliceExporter()
