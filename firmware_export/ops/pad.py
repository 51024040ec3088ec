"""Writes padding: PAD or PADV2, and ``edgecnn_pad``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.pad import MAX_RANK, PadAttributes, PadParams
from firmware_export import distances
from firmware_export.bytewise import value_bytes
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import left_pad
from firmware_export.tflite_writer import TfliteWriter


class PadExporter(Exporter[PadParams]):
    """Writes pad."""

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, PadAttributes)
        fill = None
        if a.value != 0:
            fill = pad_byte(a, graph, node)
        writer.padded(node.inputs[0], a.paddings, fill, node.output)

    def layer(self, node: Node, graph: Graph, params: PadParams) -> CLayer:
        p = params
        size = value_bytes(graph, node)
        shape = (*p.input_shape[:-1], size * p.input_shape[-1])
        before, after = p.paddings[-1]
        paddings = (*p.paddings[:-1], (size * before, size * after))
        sizes = list(zip(shape, paddings, strict=True))
        return CLayer(
            kernel="pad",
            fields={
                "shape": left_pad([b + n + a for n, (b, a) in sizes], MAX_RANK, 1),
                "begin": left_pad([b for _, (b, _) in sizes], MAX_RANK, 0),
                "end": left_pad([b + n for n, (b, _) in sizes], MAX_RANK, 1),
                "value": p.value,
            },
            is_bytewise=True,
            overlaps=distances.padded(shape, paddings),
        )


def pad_byte(attributes: PadAttributes, graph: Graph, node: Node) -> int:
    """The byte that a pad of a value other than 0 writes."""
    from edgecnn.fixedpoint import quantize

    x = graph.tensors[node.inputs[0]]
    return int(quantize(attributes.value, x.scale, x.zero_point))


EXPORTER = PadExporter()
