"""Convolutions on cores without DSP instructions: two pixels in one multiplication."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import distances, small
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums

#: Of the output, that are computed together; the last ones overlap those before.
PIXELS = 4


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
        window = distances.convolution(p)
        last = window.positions - PIXELS
        room = PIXELS * len(rows) if last < 0 else 0
        begins = [max(0, min(pixel, last)) for pixel in range(0, window.positions, PIXELS)]
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
            overlaps=window.in_blocks(begins, PIXELS),
        )


KERNEL = Conv2DSmall()
