"""The C call of operators whose output is a strided copy of their input."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors import InvariantError
from edgecnn.ir import Shape
from firmware_export import distances
from firmware_export.exporters import CLayer
from firmware_export.strides import left_pad, merge_axes

#: Axes that the kernels loop over.
KERNEL_RANK = 5


def copy_layer(
    kernel: str, shape: Shape, strides: Sequence[int], input_bytes: int, offset: int = 0
) -> CLayer:
    """A call whose output, of ``shape``, is read from the input by ``strides`` from ``offset``.

    All are of bytes.
    """
    sources = offset + distances.walk(shape, strides)
    shape, (strides,) = merge_axes(shape, [strides])
    if len(shape) > KERNEL_RANK:
        raise InvariantError(f"{kernel} loops over {len(shape)} axes, not {KERNEL_RANK}")
    return CLayer(
        kernel=kernel,
        fields={
            "shape": left_pad(shape, KERNEL_RANK, 1),
            "strides": left_pad(strides, KERNEL_RANK, 0),
            "offset": offset,
        },
        is_bytewise=True,
        overlaps=distances.moves(sources, input_bytes),
    )
