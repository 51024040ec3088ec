"""3 x 3 depthwise convolutions on cores without DSP: two pixels in one multiplication."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DParams
from firmware_export import small
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
        )

    @staticmethod
    def _band(p: DepthwiseConv2DParams) -> tuple[int, int]:
        """Rows of half a band, and bytes of scratch."""
        _, height, width, _ = p.output_shape
        columns = (width - 1) * p.stride[1] + 3
        rows_that_fit = (PLANE_BYTES // (4 * columns) - 3) // p.stride[0] + 1
        band = max(1, min((height + 1) // 2, rows_that_fit))
        return band, 8 * band + 4 * columns * ((band - 1) * p.stride[0] + 3)


KERNEL = DepthwiseConv2DSmall()
