"""Fully connected layers on cores without DSP instructions: two rows in one multiplication."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.fully_connected import FullyConnectedParams
from firmware_export import distances, small
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums


class FullyConnectedSmall(FastKernel[FullyConnectedParams]):
    """Fully connected layers whose weights have no zero point.

    Sums of products stay below 2^23, so that an odd row's times 256 fits a word beside the even
    row's; see ``kernels/small.h``.
    """

    op = "fully_connected"
    needs_dsp = False

    def layer(self, node: Node, graph: Graph, params: FullyConnectedParams) -> CLayer | None:
        p = params
        units, depth = p.weights.shape
        weights = small.pack_rows(p.weights)
        rescaling = small.rescaling(
            largest_sums(p.weights, p.bias), p.bias, p.multiplier, p.shift, p.output_zero_point
        )
        if p.weights_zero_point != 0 or weights is None or rescaling is None:
            return None
        # A row that is no number of words is copied before units are computed from it.
        ends = distances.parts(units, small.ROWS)[1] if depth % 4 == 0 else [units]
        return CLayer(
            kernel="fully_connected_small",
            fields={
                "weights": CArray(weights, "four units, input", weights.nbytes - p.weights.nbytes),
                **rescaling.fields,
            },
            shape={
                "rows": p.rows,
                "depth": depth,
                "units": units,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
                **rescaling.shape,
            },
            scratch_bytes=(depth + 3) // 4 * 4 if depth % 4 else 1,
            overlaps=distances.rows_of_units(p.rows, depth, ends),
        )


KERNEL = FullyConnectedSmall()
