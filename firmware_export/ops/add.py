"""Writes sums: ADD and ``edgecnn_add``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.add import AddAttributes, AddParams
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.strides import broadcast_strides, left_pad, merge_axes
from firmware_export.tflite_writer import TfliteWriter

#: Axes that the kernel loops over.
KERNEL_RANK = 4


class AddExporter(Exporter[AddParams]):
    """Writes add."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, AddAttributes)
        options = writer.schema.AddOptionsT()
        options.fusedActivationFunction = writer.activation(a.activation)
        options.potScaleInt16 = False
        inputs = [writer.tensor(name) for name in node.inputs]
        writer.operator("ADD", self.version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: AddParams) -> CLayer:
        p = params
        rank = len(p.output_shape)
        strides = [broadcast_strides(shape, rank) for shape in p.input_shapes]
        shape, strides = merge_axes(p.output_shape, strides)  # type: ignore[assignment]
        return CLayer(
            kernel="add",
            fields={
                "shape": left_pad(shape, KERNEL_RANK, 1),
                "strides": tuple(left_pad(steps, KERNEL_RANK, 0) for steps in strides),
                "input_zero_point": p.input_zero_points,
                "input_multiplier": p.input_multipliers,
                "input_shift": p.input_shifts,
                "output_multiplier": p.output_multiplier,
                "output_shift": p.output_shift,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
            constants={
                i: CArray(data, "as the tensor")
                for i, data in enumerate(p.constants)
                if data is not None
            },
        )


EXPORTER = AddExporter()
