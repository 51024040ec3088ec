"""Means of channels over all pixels, four channels a word."""

from __future__ import annotations

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.ir import Graph, Node
from edgecnn.ops.mean import MeanParams
from firmware_export.exporters import CLayer
from firmware_export.fast.average_pool2d_words import MAX_VALUES
from firmware_export.fast_kernel import FastKernel, rescales_fast

#: Channels of a word.
WORD = 4


class MeanWords(FastKernel[MeanParams]):
    """Means over all axes but the last, of up to 255 values, of at least four channels."""

    op = "mean"

    def layer(self, node: Node, graph: Graph, params: MeanParams) -> CLayer | None:
        p = params
        *before, channels = p.input_shape
        last = len(before)
        kept = [axis for axis in range(last) if axis not in p.axes and p.input_shape[axis] > 1]
        if kept or last in p.axes or channels < WORD or p.count > MAX_VALUES:
            return None
        if not rescales_fast(np.array([p.count * MAX_OFFSET_INPUT]), np.array([p.shift])):
            return None
        return CLayer(
            kernel="mean_words",
            fields={
                "pixels": p.count,
                "channels": channels,
                "offset": p.count * p.input_zero_point,
                "multiplier": p.multiplier,
            },
            shape={"shift": -p.shift - 1, "output_zero_point": p.output_zero_point},
        )


KERNEL = MeanWords()
