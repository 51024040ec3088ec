"""Sums of tensors of one shape as straight lines, two multiplications a value."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgecnn.binary_operator import ScaledParams
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import operator
from firmware_export.distances import of_operands
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel
from firmware_export.linear import BYTES, fit


def _outputs_of_all_pairs(op: str, params: ScaledParams) -> Array:
    """What the operator gives for each pair of bytes, without its activation: (256, 256)."""
    pairs = [g.astype(np.int8).reshape(1, -1) for g in np.meshgrid(BYTES, BYTES, indexing="ij")]
    unclamped = dataclasses.replace(
        params, constants=(None, None), activation_min=INT8_MIN, activation_max=INT8_MAX
    )
    (outputs,) = operator(op).evaluate_int(unclamped, pairs)
    return outputs.reshape(BYTES.size, BYTES.size)


def linear_layer(
    op: str, sign: int, node: Node, graph: Graph, params: ScaledParams
) -> CLayer | None:
    """The layer for a sum, or for a difference (``sign`` -1)."""
    p = params
    if p.input_shapes != (p.output_shape, p.output_shape):
        return None
    first, second, output = (graph.tensors[name] for name in (*node.inputs, node.output))
    slopes = (first.scale / output.scale, sign * second.scale / output.scale)
    zero_points = (first.zero_point, second.zero_point, output.zero_point)
    line = fit(_outputs_of_all_pairs(op, p), slopes, zero_points)
    if line is None:
        return None
    return CLayer(
        kernel="add_linear",
        fields={
            "size": int(np.prod(p.output_shape)),
            "factors": line.factors,
            "offset": line.offset,
        },
        shape={
            "shift": line.shift,
            "activation_min": p.activation_min,
            "activation_max": p.activation_max,
        },
        constants={
            i: CArray(data, "as the tensor")
            for i, data in enumerate(p.constants)
            if data is not None
        },
        overlaps=of_operands(p),
    )


class AddLinear(FastKernel[ScaledParams]):
    """Sums without broadcasting whose rounding a straight line meets."""

    op = "add"

    def layer(self, node: Node, graph: Graph, params: ScaledParams) -> CLayer | None:
        return linear_layer("add", 1, node, graph, params)


KERNEL = AddLinear()
