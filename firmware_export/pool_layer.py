"""What the exporters of the pooling operators have in common."""

from __future__ import annotations

from typing import Any

from edgecnn.ir import Node
from edgecnn.pool_operator import PoolParams
from firmware_export.distances import Overlaps
from firmware_export.exporters import CLayer
from firmware_export.tflite_writer import TfliteWriter


def write_pool(
    node: Node, writer: TfliteWriter, code: str, version: int, fill: int | None = None
) -> None:
    """Append MAX_POOL_2D or AVERAGE_POOL_2D, padded with ``fill`` where need be."""
    a: Any = node.attributes
    image, padding = writer.windowed_input(node.inputs[0], a.window, fill)
    options = writer.schema.Pool2DOptionsT()
    options.padding = padding
    options.strideH, options.strideW = a.stride
    options.filterHeight, options.filterWidth = a.size
    options.fusedActivationFunction = writer.activation(a.activation)
    writer.operator(code, version, [image], [writer.tensor(node.output)], options)


def pool_layer(kernel: str, params: PoolParams, overlaps: Overlaps) -> CLayer:
    """The call of a pooling kernel, which may write over its input so far."""
    p, window = params, params.window
    return CLayer(
        kernel=kernel,
        fields={
            "input_height": p.input_shape[1],
            "input_width": p.input_shape[2],
            "channels": p.input_shape[3],
            "output_height": p.output_shape[1],
            "output_width": p.output_shape[2],
            "size_height": window.size[0],
            "size_width": window.size[1],
            "stride_height": window.stride[0],
            "stride_width": window.stride[1],
            "pad_top": window.padding[0],
            "pad_left": window.padding[2],
            "activation_min": p.activation_min,
            "activation_max": p.activation_max,
        },
        overlaps=overlaps,
    )
