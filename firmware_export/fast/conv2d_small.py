"""Convolutions on cores without DSP instructions: two pixels in one multiplication."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import small
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums


class Conv2DSmall(FastKernel[Conv2DParams]):
    """Convolutions without groups whose pairs of weights stay below 256 in magnitude.

    The products of such a pair with int8 inputs then stay below 2^15, so that a word holds those
    of two pixels; see ``kernels/small.h``, also for what the sums must stay below.
    """

    op = "conv2d"
    needs_dsp = False

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        rows = p.weights.reshape(p.weights.shape[0], -1)
        weights = small.pack_taps(rows)
        rescaling = small.rescaling(
            largest_sums(rows, p.bias), p.bias, p.multiplier, p.shift, p.output_zero_point
        )
        if p.groups > 1 or weights is None or rescaling is None:
            return None
        pixels = p.output_shape[1] * p.output_shape[2]
        room = 4 * len(rows) if pixels < 4 else 0
        return CLayer(
            kernel="conv2d_small",
            fields={
                "weights": CArray(
                    weights,
                    "filter, pair of taps, the first in the low byte",
                    weights.nbytes - rows.nbytes,
                ),
                **rescaling.fields,
            },
            shape={**window_fields(p), "output_channels": len(rows), **rescaling.shape},
            scratch_bytes=8 * 2 * weights.shape[1] + p.weights.shape[3] + room,
        )


KERNEL = Conv2DSmall()
