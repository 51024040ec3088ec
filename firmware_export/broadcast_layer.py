"""What the exporters of operators with two operands have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecnn.binary_operator import BinaryParams, ScaledParams
from edgecnn.ir import INT16, Node
from firmware_export.distances import of_operands
from firmware_export.exporters import CArray, CLayer, FieldValue
from firmware_export.strides import broadcast_strides, left_pad, merge_axes
from firmware_export.tflite_writer import TfliteWriter

#: Axes that the kernels loop over.
KERNEL_RANK = 4


def broadcast_layer(kernel: str, params: BinaryParams, fields: Mapping[str, FieldValue]) -> CLayer:
    """The call of a kernel that loops over pairs, with fields of its own after the loops.

    Of an operator on int16 it is the kernel of that name with ``_int16`` behind it.
    """
    p = params
    rank = len(p.output_shape)
    strides = [broadcast_strides(shape, rank) for shape in p.input_shapes]
    shape, steps = merge_axes(p.output_shape, strides)
    padded = tuple(left_pad(step, KERNEL_RANK, 0) for step in steps)
    return CLayer(
        kernel=f"{kernel}_int16" if p.dtype == INT16 else kernel,
        fields={"loops.shape": left_pad(shape, KERNEL_RANK, 1), "loops.strides": padded, **fields},
        constants={
            i: CArray(data, "as the tensor")
            for i, data in enumerate(p.constants)
            if data is not None
        },
        overlaps=of_operands(p),
    )


def scaled_layer(kernel: str, params: ScaledParams) -> CLayer:
    """The call of a kernel on operands that are brought to one scale."""
    p = params
    fields: dict[str, FieldValue] = {
        "left_shift": p.left_shift,
        "input_zero_point": p.input_zero_points,
        "input_multiplier": p.input_multipliers,
        "input_shift": p.input_shifts,
        "output_multiplier": p.output_multiplier,
        "output_shift": p.output_shift,
        "output_zero_point": p.output_zero_point,
        "activation_min": p.activation_min,
        "activation_max": p.activation_max,
    }
    return broadcast_layer(kernel, p, fields)


def write_binary(
    code: str, version: int, node: Node, writer: TfliteWriter, options: Any = None
) -> None:
    """Append a TFLite operator of the node's two operands."""
    activation = getattr(node.attributes, "activation", None)
    if activation is not None and options is not None:
        options.fusedActivationFunction = writer.activation(activation)
    inputs = [writer.tensor(name) for name in node.inputs]
    writer.operator(code, version, inputs, [writer.tensor(node.output)], options)
