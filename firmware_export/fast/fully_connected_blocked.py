"""Fully connected layers in blocks of six units and of two, two taps an instruction."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Array, Graph, Node
from edgecnn.ops.fully_connected import FullyConnectedParams
from firmware_export import blocks, distances
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums, rescales_fast

#: Units of a block; those that are left come in blocks of two.
SIX, TWO = 6, 2


def _pack(weights: Array, *, joint: bool) -> Array:
    """int8 (units, depth) as the bytes of all blocks; units come filled up to pairs."""
    units, depth = weights.shape
    fours = np.arange(depth + -depth % 4)
    order = blocks.widened_order(fours.size)
    order = np.where(order < depth, order, -1)
    sixes = units // SIX * SIX
    parts = [
        blocks.pack_rows(weights[:sixes], order, joint=joint, block=SIX),
        blocks.pack_rows(weights[sixes:], order, joint=joint, block=TWO),
    ]
    return np.concatenate([part.reshape(-1) for part in parts])


class FullyConnectedBlocked(FastKernel[FullyConnectedParams]):
    """Any fully connected layer whose weights have no zero point."""

    op = "fully_connected"

    def layer(self, node: Node, graph: Graph, params: FullyConnectedParams) -> CLayer | None:
        p = params
        units, depth = p.weights.shape
        largest = largest_sums(p.weights, p.bias)
        if p.weights_zero_point != 0 or not rescales_fast(largest, p.shift):
            return None
        joint = blocks.are_joint(p.weights, largest)
        weights = _pack(np.pad(p.weights, ((0, units % 2), (0, 0))), joint=joint)
        bias = np.pad(p.bias, (0, units % 2)).astype(np.int32)
        scales = np.stack([p.multiplier.astype(np.int64), -p.shift.astype(np.int64) - 1], axis=1)
        sixes = range(SIX, units + 2, SIX)  # of five units, too
        ends = [*sixes, *range(sixes[-1] + TWO if sixes else TWO, units + TWO, TWO)]
        per_channel = len(np.unique(scales, axis=0)) > 1
        return CLayer(
            kernel="fully_connected_blocked",
            fields={
                "weights": CArray(
                    weights,
                    "block, pair of taps, pair, bytes",
                    weights.nbytes - p.weights.nbytes,
                ),
                "bias": CArray(bias, "unit", 4 * (units % 2)),
                "scales": CArray(
                    (scales if per_channel else scales[:1]).astype(np.int32),
                    "unit; multiplier, right shift less 1",
                ),
                "rows": p.rows,
                "depth": depth,
                "units": units,
                "output_zero_point": p.output_zero_point,
            },
            shape={
                "is_joint": int(joint),
                "is_per_channel": int(per_channel),
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
            overlaps=distances.rows_of_units(p.rows, depth, [min(end, units) for end in ends]),
        )


KERNEL = FullyConnectedBlocked()
