"""What the exporters of reductions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.ir import Node, Shape
from firmware_export.exporters import FieldValue
from firmware_export.strides import left_pad, merge_axes, row_major
from firmware_export.tflite_writer import TfliteWriter

#: Kept and reduced axes that the kernels loop over; four axes never leave more after merging.
KERNEL_RANK = 2


def _loops(shape: Shape, axes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and strides of some axes of a contiguous array, merged and padded for the kernel."""
    strides = row_major(shape)
    picked = tuple(shape[axis] for axis in axes)
    sizes, (steps,) = merge_axes(picked, [[strides[axis] for axis in axes]])
    return left_pad(sizes, KERNEL_RANK, 1), left_pad(steps, KERNEL_RANK, 0)


def reduce_loops(shape: Shape, axes: Sequence[int]) -> dict[str, FieldValue]:
    """The fields that say over what a reduction kernel loops."""
    kept, kept_stride = _loops(shape, [axis for axis in range(len(shape)) if axis not in axes])
    reduced, reduced_stride = _loops(shape, axes)
    return {
        "kept": kept,
        "kept_stride": kept_stride,
        "reduced": reduced,
        "reduced_stride": reduced_stride,
    }


def write_reduction(node: Node, writer: TfliteWriter, code: str, version: int) -> None:
    """Append a TFLite operator whose options are those of a reducer."""
    attributes: Any = node.attributes
    options = writer.schema.ReducerOptionsT()
    options.keepDims = attributes.keep_dims
    axes = writer.constant(f"{node.output}_axes", np.array(attributes.axes, np.int32))
    inputs = [writer.tensor(node.inputs[0]), axes]
    writer.operator(code, version, inputs, [writer.tensor(node.output)], options)
