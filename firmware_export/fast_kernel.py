"""What a fast kernel gives beside an operator's portable one: another C call for the same bytes.

Each module of ``firmware_export/fast`` holds one `FastKernel` named ``KERNEL``, found by its stem,
which is also that of its C (``kernels/<stem>.h``) and of its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from edgecnn.fixedpoint import requantize
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import Dialect, discover, operator
from firmware_export.device.cores import Core
from firmware_export.exporters import CArray, CLayer

P = TypeVar("P")

#: Behind the stem of a kernel that is compiled once for all shapes.
SHARED = ", shared"

#: Bounds of `edgecnn_requantize_fast`: right shifts, and the magnitude of sums.
MIN_RIGHT_SHIFT, MAX_RIGHT_SHIFT = 1, 23
MAX_SUM = 1 << 30
#: Largest magnitude of an int8 value.
MAX_INPUT = 128


class FastKernel(Generic[P]):
    """Another way to compute one operator on some cores."""

    #: The operator.
    op: ClassVar[str]
    #: Whether it is for cores with the DSP extension, or for those without.
    needs_dsp: ClassVar[bool] = True
    #: Whether it may also be compiled once for all shapes, which takes less flash.
    may_be_shared: ClassVar[bool] = False

    def layer(self, node: Node, graph: Graph, params: P) -> CLayer | None:
        """The C call that computes the node, or None where the kernel is not for it."""
        raise NotImplementedError

    def variants(self, node: Node, graph: Graph, params: P) -> Mapping[str, CLayer]:
        """The calls that compute the node in different ways, by what is behind the stem."""
        layer = self.layer(node, graph, params)
        return {} if layer is None else {"": layer}


def fast_kernels() -> Mapping[str, FastKernel[Any]]:
    """Every fast kernel by its stem."""
    return cast("Mapping[str, FastKernel[Any]]", discover("firmware_export.fast", "KERNEL"))


def candidates(node: Node, graph: Graph, core: Core) -> Mapping[str, CLayer]:
    """The fast layers that can compute a node on a core, by their kernel's stem and variant.

    With `SHARED` behind it a stem means the code for all shapes. All of them are for int8.
    """
    found: dict[str, CLayer] = {}
    if graph.is_wide(node):
        return found
    kernels = {
        stem: kernel
        for stem, kernel in fast_kernels().items()
        if kernel.op == node.op and kernel.needs_dsp == core.has_dsp
    }
    if kernels:
        params = lowered(node, graph)
        for stem, kernel in sorted(kernels.items()):
            for variant, layer in kernel.variants(node, graph, params).items():
                found[stem + variant] = layer
                if kernel.may_be_shared:
                    found[stem + variant + SHARED] = replace(layer, is_shared=True)
    return found


def lowered(node: Node, graph: Graph) -> Any:
    """A node's params as fast kernels take them, see `with_plain_constants`."""
    params = operator(node.op).lower(node, graph, Dialect.TFLM)
    axis = operator(node.op).weights_axis
    return params if axis is None else with_plain_constants(params, axis)


def largest_sums(weights: Array, bias: Array) -> Array:
    """Bound of the magnitude of each channel's sum, int64; ``weights`` is (channel, …)."""
    magnitudes = np.abs(weights.astype(np.int64)).reshape(weights.shape[0], -1).sum(axis=1)
    return magnitudes * MAX_INPUT + np.abs(bias.astype(np.int64))


def rescales_fast(largest: Array, shift: Array) -> bool:
    """Whether `edgecnn_requantize_fast` is exact for sums up to ``largest`` in magnitude.

    ``shift`` is `edgecnn.fixedpoint`'s, negative to the right.
    """
    right = -shift.astype(np.int64)
    in_range = (right >= MIN_RIGHT_SHIFT) & (right <= MAX_RIGHT_SHIFT)
    return bool(in_range.all() and (largest < MAX_SUM).all())


def channel_table(bias: Array, multiplier: Array, shift: Array) -> CArray:
    """The table of output channels that ``dsp.h`` describes: (channels, 3) int32."""
    table = np.stack([bias, multiplier, -shift.astype(np.int64) - 1], axis=1)
    return CArray(table.astype(np.int32), "output channel; bias, multiplier, right shift less 1")


def with_plain_constants(params: Any, axis: int) -> Any:
    """Params of a layer with weights, whose constant channels have plain integers instead.

    They often have scales or biases that are out of what fast kernels rescale. A
    channel whose smallest and largest sum give the same byte q gets zero weights, the multiplier
    2^30, a right shift of 1, and the bias 4 (q - zero point), of which that makes q: half of it,
    twice. ``axis`` is that of the output channels in the weights.
    """
    if getattr(params, "weights_zero_point", 0):
        return params
    weights = np.moveaxis(params.weights, axis, 0)
    largest = largest_sums(weights, np.zeros_like(params.bias))
    low, high = (
        requantize(
            np.clip(params.bias + sign * largest, -(1 << 31), (1 << 31) - 1),
            params.multiplier,
            params.shift,
            params.output_zero_point,
            params.activation_min,
            params.activation_max,
        ).astype(np.int64)
        for sign in (-1, 1)
    )
    constant = low == high
    if not constant.any():
        return params
    shape = [1] * params.weights.ndim
    shape[axis] = -1
    kept: Array = ~constant
    return replace(
        params,
        weights=params.weights * kept.reshape(shape).astype(np.int8),
        bias=np.where(kept, params.bias, 4 * (low - params.output_zero_point)).astype(np.int32),
        multiplier=np.where(kept, params.multiplier, 1 << 30).astype(np.int32),
        shift=np.where(kept, params.shift, -1).astype(params.shift.dtype),
    )
