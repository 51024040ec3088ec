"""3 x 3 depthwise convolutions on cores without DSP: two pixels in one multiplication."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DParams
from firmware_export import distances, small
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums

#: Bytes of scratch that the plane of a channel may take; larger images are cut into bands.
PLANE_BYTES = 6144


class DepthwiseConv2DSmall(FastKernel[DepthwiseConv2DParams]):
    """3 x 3 windows without dilation, of weights whose first two in each column fit together.

    That is where their products with int8 inputs stay below 2^15; see ``kernels/small.h``.
    """

    op = "depthwise_conv2d"
    needs_dsp = False

    def layer(self, node: Node, graph: Graph, params: DepthwiseConv2DParams) -> CLayer | None:
        p = params
        channels = p.weights.shape[3]
        columns = p.weights[0].transpose(2, 1, 0)
        if p.weights.shape[1:3] != (3, 3) or p.dilation != (1, 1):
            return None
        rescaling = small.rescaling(
            largest_sums(columns, p.bias), p.bias, p.multiplier, p.shift, p.output_zero_point
        )
        if rescaling is None or small.pack_taps(columns[:, :, :2].reshape(channels, 6)) is None:
            return None
        band, scratch = self._band(p)
        return CLayer(
            kernel="depthwise_conv2d_small",
            fields={
                "weights": CArray(columns, "channel, column, row"),
                **rescaling.fields,
            },
            shape={
                **window_fields(p),
                "depth_multiplier": channels // p.input_shape[3],
                **rescaling.shape,
                "band": band,
            },
            scratch_bytes=scratch,
            overlaps=self._overlaps(p, band),
        )

    @staticmethod
    def _band(p: DepthwiseConv2DParams) -> tuple[int, int]:
        """Rows of half a band, and bytes of scratch."""
        _, height, width, _ = p.output_shape
        columns = (width - 1) * p.stride[1] + 3
        rows_that_fit = (PLANE_BYTES // (4 * columns) - 3) // p.stride[0] + 1
        band = max(1, min((height + 1) // 2, rows_that_fit))
        return band, 8 * band + 4 * columns * ((band - 1) * p.stride[0] + 3)

    @staticmethod
    def _overlaps(p: DepthwiseConv2DParams, half: int) -> distances.Overlaps:
        """For each band and channel all is read before any of it is written."""
        _, height, width, channels = p.output_shape
        _, rows, columns, depth = p.input_shape
        band = min(height, 2 * half)
        begins = np.minimum(np.arange(0, height, band), height - band)
        tops = np.maximum(begins * p.stride[0] - p.padding[0], 0)
        if depth == channels:
            written = np.arange(height) // band
            last_read = np.searchsorted(tops, np.arange(rows), side="right") - 1
            found = distances.in_groups(np.repeat(written, width), np.repeat(last_read, columns))
            if found:
                return found
        first = np.where(tops < rows, tops * columns * depth, distances.NOTHING)
        ends = (begins + band) * width * channels
        if depth > 1:  # a channel is read when those before are written
            first, ends = np.repeat(first, 2), np.repeat(ends, 2)
        return distances.overlaps(first, ends, rows * columns * depth)


KERNEL = DepthwiseConv2DSmall()
