"""Writes means: MEAN and ``edgecnn_mean``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node, Shape
from edgecnn.ops.mean import MeanAttributes, MeanParams
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import left_pad, merge_axes, row_major
from firmware_export.tflite_writer import TfliteWriter

#: Kept and reduced axes that the kernel loops over; four axes never leave more after merging.
KERNEL_RANK = 2


def _loops(shape: Shape, axes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and strides of some axes of a contiguous array, merged and padded for the kernel."""
    strides = row_major(shape)
    picked = tuple(shape[axis] for axis in axes)
    sizes, (steps,) = merge_axes(picked, [[strides[axis] for axis in axes]])
    return left_pad(sizes, KERNEL_RANK, 1), left_pad(steps, KERNEL_RANK, 0)


class MeanExporter(Exporter[MeanParams]):
    """Writes mean."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, MeanAttributes)
        options = writer.schema.ReducerOptionsT()
        options.keepDims = a.keep_dims
        axes = writer.constant(f"{node.output}_axes", np.array(a.axes, np.int32))
        inputs = [writer.tensor(node.inputs[0]), axes]
        writer.operator("MEAN", self.version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: MeanParams) -> CLayer:
        p = params
        stay = [axis for axis in range(len(p.input_shape)) if axis not in p.axes]
        kept, kept_stride = _loops(p.input_shape, stay)
        reduced, reduced_stride = _loops(p.input_shape, list(p.axes))
        return CLayer(
            kernel="mean",
            fields={
                "kept": kept,
                "kept_stride": kept_stride,
                "reduced": reduced,
                "reduced_stride": reduced_stride,
                "offset": p.count * p.input_zero_point,
                "multiplier": p.multiplier,
                "shift": p.shift,
                "output_zero_point": p.output_zero_point,
            },
        )


EXPORTER = MeanExporter()
