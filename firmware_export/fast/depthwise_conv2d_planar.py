"""Depthwise convolutions on planes of int16: two taps an instruction, blocks of four outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgecnn.ir import Array, Graph, Node
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DParams
from firmware_export import distances
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, channel_table, largest_sums, rescales_fast

#: Channels that are widened together.
PLANES = 4
#: Bytes that the planes may take; images that need more are computed in strips of rows.
MAX_PLANES_BYTES = 4096
#: Behind the stem of the variant whose planes take less, and how many bytes they may take.
SMALL, MAX_SMALL_BYTES = ", small planes", 640
#: Taps up to which blocks have two rows: beyond, their code is large.
MAX_TAPS_OF_TWO_ROWS = 16
MAX_UNROLLED_ROWS = 8
#: Words of a row under a block's windows, and packed words of weights in local variables, at most.
MAX_WINDOW_WORDS = 9
MAX_LOCAL_WEIGHTS = 4
#: Bytes of a filter in memory, beside its weights.
FILTER_BYTES = 16


@dataclass(frozen=True)
class Axis:
    """One axis of the convolution; steps are from one pixel to the next, in bytes."""

    input: int
    output: int
    kernel: int
    stride: int
    pad: int
    input_step: int
    output_step: int


@dataclass(frozen=True)
class Planes:
    """The convolution with the axes as the kernel takes them, rows first.

    Planes of some strips have up to ``limit`` bytes, or the fewest that they can.
    """

    rows: Axis
    columns: Axis
    limit: int
    is_transposed: bool

    @property
    def block_rows(self) -> int:
        """Output rows that are computed together: one for large windows."""
        taps = self.rows.kernel * self.columns.kernel
        unrolled = self.rows.kernel + self.rows.stride
        return 2 if taps <= MAX_TAPS_OF_TWO_ROWS and unrolled <= MAX_UNROLLED_ROWS else 1

    def window_words(self, columns: int) -> int:
        """Words of a row under the windows of one or two columns."""
        return (self.columns.kernel + (columns - 1) * self.columns.stride + 1) // 2

    @property
    def words(self) -> int:
        """Words of a row that all windows reach."""
        whole, rest = divmod(self.columns.output, 2)
        last = whole * self.columns.stride
        pairs = last - self.columns.stride + self.window_words(2) if whole else 0
        return max(pairs, last + self.window_words(1) if rest else 0)

    @property
    def excess(self) -> int:
        """Bytes that the planes take beyond their limit."""
        return max(self.planes_bytes(self.strip_rows) - self.limit, 0)

    def input_rows(self, output_rows: int) -> int:
        """Rows under the windows of some output rows."""
        return (output_rows - 1) * self.rows.stride + self.rows.kernel

    def planes_bytes(self, output_rows: int) -> int:
        """Size of the planes for some output rows."""
        return 4 * PLANES * self.words * self.input_rows(output_rows)

    @property
    def strip_rows(self) -> int:
        """Output rows whose inputs are in the planes at a time: all, or strips of the same size."""
        total, step = self.rows.output, self.block_rows
        if self.planes_bytes(total) <= self.limit:
            return total
        sizes = range(step, total, step)
        most = max((n for n in sizes if self.planes_bytes(n) <= self.limit), default=step)
        strips = -(-total // most)
        rows = -(-total // strips)
        return min(rows + -rows % step, total)

    def fits(self) -> bool:
        """Whether windows are small enough, and the image is not all padding to them."""
        reached = 2 * self.words - self.columns.pad
        return self.window_words(2) <= MAX_WINDOW_WORDS and reached > 0

    def cost(self) -> int:
        """Rough number of instructions for a channel: loads, products, rescaling and loops."""
        halves = divmod(self.rows.output, self.block_rows)
        lines = ((self.block_rows, halves[0]), (1, halves[1]))
        return sum(count * self._line_cost(rows) for rows, count in lines)

    def _line_cost(self, rows: int) -> int:
        total = 12
        for columns, count in zip((2, 1), divmod(self.columns.output, 2), strict=True):
            loads = self.input_rows(rows) * (self.window_words(columns) + 1)
            products = rows * columns * self.rows.kernel * (self.columns.kernel // 2 + 1)
            total += count * (loads + products + 5 * rows * columns + 6)
        return total


def orientations(p: DepthwiseConv2DParams, limit: int) -> tuple[Planes, Planes]:
    """The convolution as it is, and transposed, with planes of up to ``limit`` bytes."""
    axes = [
        Axis(
            p.input_shape[i],
            p.output_shape[i],
            p.weights.shape[i],
            p.stride[i - 1],
            p.padding[2 * (i - 1)],
            int(np.prod(p.input_shape[i + 1 :])),
            int(np.prod(p.output_shape[i + 1 :])),
        )
        for i in (1, 2)
    ]
    height, width = axes
    upright = Planes(height, _two_taps(width), limit, is_transposed=False)
    return upright, Planes(width, _two_taps(height), limit, is_transposed=True)


def _two_taps(axis: Axis) -> Axis:
    """At least a pair of taps: a second one of zero where there is one."""
    return replace(axis, kernel=max(axis.kernel, 2))


def pack(weights: Array) -> Array:
    """(channel, rows, columns) as (channel, rows, pairs, 4): bytes w0, w1, w1, w2 of each pair."""
    filled = np.pad(weights, ((0, 0), (0, 0), (0, 2)))
    return filled[:, :, _columns_of_bytes(weights.shape[2])]


def _columns_of_bytes(columns: int) -> Array:
    """The column of a filter that each byte of a row is of, (pairs, 4); none beyond the last."""
    first = np.arange(0, max(columns, 2) - 1, 2)
    return first[:, None] + np.array([0, 1, 1, 2])


def padding(weights: Array) -> int:
    """How many of the bytes of `pack` are of no column."""
    channels, rows, columns = weights.shape
    return channels * rows * int((_columns_of_bytes(columns) >= columns).sum())


class DepthwiseConv2DPlanar(FastKernel[DepthwiseConv2DParams]):
    """Depthwise convolutions without dilation.

    Twice the bias and sums are less than 2^31 in magnitude, since `rescales_fast` holds.
    """

    op = "depthwise_conv2d"

    def layer(self, node: Node, graph: Graph, params: DepthwiseConv2DParams) -> CLayer | None:
        planes = _fitting(params, MAX_PLANES_BYTES)
        return _layer(params, min(planes, key=Planes.cost)) if planes else None

    def variants(
        self, node: Node, graph: Graph, params: DepthwiseConv2DParams
    ) -> Mapping[str, CLayer]:
        found = dict(super().variants(node, graph, params))
        if found:
            planes = min(_fitting(params, MAX_SMALL_BYTES), key=lambda p: (p.excess, p.cost()))
            small = _layer(params, planes)
            if small.scratch_bytes < found[""].scratch_bytes:
                found[SMALL] = small
        return found


def _fitting(p: DepthwiseConv2DParams, limit: int) -> list[Planes]:
    """Both ways to compute a layer, as far as the kernel is for it."""
    weights = p.weights[0].transpose(2, 0, 1)
    if p.dilation != (1, 1) or not rescales_fast(largest_sums(weights, p.bias), p.shift):
        return []
    return [planes for planes in orientations(p, limit) if planes.fits()]


def _layer(p: DepthwiseConv2DParams, planes: Planes) -> CLayer:
    weights = p.weights[0].transpose(2, *((1, 0) if planes.is_transposed else (0, 1)))
    packed = pack(weights)
    table = channel_table(2 * p.bias, p.multiplier, p.shift)
    words = packed.shape[1] * packed.shape[2]
    space = FILTER_BYTES + 8 * words if words > MAX_LOCAL_WEIGHTS else 0
    return CLayer(
        kernel="depthwise_conv2d_planar",
        fields={
            "weights": CArray(packed, "output channel, row, pair of taps, bytes", padding(weights)),
            "channels": CArray(table.data, table.layout),
        },
        shape=_shape(p, planes),
        scratch_bytes=planes.planes_bytes(planes.strip_rows) + space,
        overlaps=_overlaps(p, planes),
    )


def _overlaps(p: DepthwiseConv2DParams, planes: Planes) -> distances.Overlaps:
    """All of a strip is read before any of it is written, and no row is read twice.

    The kernel goes through all strips of up to four channels, then of the next ones. The last four
    may have some in them that are done, and overwritten, but nothing is computed from these.
    """
    rows, columns = planes.rows, planes.columns
    begins = np.arange(0, rows.output, planes.strip_rows)
    ends = np.minimum(begins + planes.strip_rows, rows.output)
    read = (ends - 1) * rows.stride - rows.pad + rows.kernel
    depth, channels = p.input_shape[3], p.output_shape[3]
    if depth <= PLANES:
        kept = np.where(begins > 0, max(rows.kernel - rows.stride, 0), 0)
        first = np.maximum(begins * rows.stride - rows.pad + kept, 0)
        first_bytes = np.where(first < rows.input, first * rows.input_step, distances.NOTHING)
        last_bytes = (ends - 1) * rows.output_step + (columns.output - 1) * columns.output_step
        found = distances.overlaps(first_bytes, last_bytes + channels, int(np.prod(p.input_shape)))
        if found:
            return found
    if depth != channels:
        return {}
    written = np.arange(rows.output) // planes.strip_rows
    strips = np.searchsorted(read, np.arange(rows.input), side="right")
    last_read = np.where(strips < begins.size, strips, -1)
    return distances.in_groups(
        _image(written, planes, columns.output), _image(last_read, planes, columns.input)
    )


def _image(rows: Array, planes: Planes, columns: int) -> Array:
    """What is said of the planes' rows, for each pixel of the image."""
    pixels = np.repeat(rows[:, None], columns, axis=1)
    return pixels.T if planes.is_transposed else pixels


def _shape(p: DepthwiseConv2DParams, planes: Planes) -> Mapping[str, int]:
    rows, columns = planes.rows, planes.columns
    strip = planes.strip_rows
    return {
        "input_rows": rows.input,
        "input_columns": min(columns.input, 2 * planes.words - columns.pad),
        "input_row_step": rows.input_step,
        "input_column_step": columns.input_step,
        "input_channels": p.input_shape[3],
        "depth_multiplier": p.output_shape[3] // p.input_shape[3],
        "output_rows": rows.output,
        "output_columns": columns.output,
        "output_row_step": rows.output_step,
        "output_column_step": columns.output_step,
        "kernel_rows": rows.kernel,
        "kernel_columns": columns.kernel,
        "stride_rows": rows.stride,
        "stride_columns": columns.stride,
        "pad_rows": rows.pad,
        "pad_columns": columns.pad,
        "strip_rows": strip,
        "plane_rows": planes.input_rows(strip),
        "plane_words": planes.words,
        "block_rows": planes.block_rows,
        "input_zero_point": p.input_zero_point,
        "output_zero_point": p.output_zero_point,
        "activation_min": p.activation_min,
        "activation_max": p.activation_max,
    }


KERNEL = DepthwiseConv2DPlanar()
