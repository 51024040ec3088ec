"""An NHWC image in another size, each pixel a mean of four of its pixels by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import divide_round_half_away
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, OutputRange, same_quantization_problem
from edgecnn.windows import Pair

#: Steps between two pixels in the integer kernel.
ONE = 1 << 10


@dataclass(frozen=True)
class ResizeBilinearAttributes(Attributes):
    """Output size as (height, width), and TFLite's two flags."""

    size: Pair
    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, eq=False)
class Taps:
    """Along one axis, the two inputs of each output and their distance from the first.

    In steps of 1/1024 of a pixel for the integers, in pixels for the floats.
    """

    first: Array
    second: Array
    distance: Array


@dataclass(frozen=True, eq=False)
class ResizeBilinearParams:
    """Shapes, and the taps along height and width."""

    input_shape: Shape
    output_shape: Shape
    rows: Taps
    columns: Taps


def integer_taps(inputs: int, outputs: int, a: ResizeBilinearAttributes) -> Taps:
    """Taps as TFLite's ``ResizeBilinearInteger`` finds them, in its fixed-point steps."""
    count, total = outputs, inputs
    if a.align_corners and outputs > 1:
        count, total = outputs - 1, inputs - 1
    scale = (ONE * total + count // 2) // count
    places = np.arange(outputs, dtype=np.int64) * scale
    if a.half_pixel_centers:
        places += scale // 2 - ONE // 2
    first = np.maximum(places, 0) // ONE
    second = np.minimum(-(-places // ONE), inputs - 1)
    return Taps(first, np.maximum(second, 0), places - first * ONE)


def float_taps(inputs: int, outputs: int, a: ResizeBilinearAttributes) -> Taps:
    """Taps as TFLite's float ``ResizeBilinear`` finds them."""
    if a.align_corners and outputs > 1:
        scale = np.float32(inputs - 1) / np.float32(outputs - 1)
    else:
        scale = np.float32(inputs) / np.float32(outputs)
    half = np.float32(0.5 if a.half_pixel_centers else 0.0)
    places = (np.arange(outputs, dtype=np.float32) + half) * scale - half
    first = np.clip(np.floor(places).astype(np.int64), 0, inputs - 1)
    second = np.clip(np.ceil(places).astype(np.int64), 0, inputs - 1)
    return Taps(first, second, places - first.astype(np.float32))


def interpolate(x: Array, rows: Taps, columns: Taps, one: float) -> Array:
    """The weighted sums of four pixels; weights of a pixel add up to ``one`` squared."""
    down = rows.distance[:, None, None].astype(x.dtype)
    across = columns.distance[:, None].astype(x.dtype)
    whole = x.dtype.type(one)
    top, bottom = x[:, rows.first], x[:, rows.second]
    upper = top[:, :, columns.first] * (whole - across) + top[:, :, columns.second] * across
    lower = bottom[:, :, columns.first] * (whole - across) + bottom[:, :, columns.second] * across
    return np.asarray(upper * (whole - down) + lower * down)


class ResizeBilinear(Operator[ResizeBilinearAttributes, ResizeBilinearParams]):
    """Bilinear resizing."""

    attributes = ResizeBilinearAttributes
    summary = "any constant size, with TFLite's conventions of centres and corners"
    output_range = OutputRange.SAME_AS_INPUT

    def is_homogeneous(self, attributes: ResizeBilinearAttributes) -> bool:
        return True

    def infer_shapes(
        self, attributes: ResizeBilinearAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        n, _, _, c = shapes[0]
        return ((n, *attributes.size, c),)

    def evaluate_float(
        self, attributes: ResizeBilinearAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        rows, columns = (float_taps(x.shape[i + 1], attributes.size[i], attributes) for i in (0, 1))
        return (interpolate(x, rows, columns, 1.0),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ResizeBilinearParams:
        a = node.attributes
        assert isinstance(a, ResizeBilinearAttributes)
        shape = graph.tensors[node.inputs[0]].shape
        rows, columns = (integer_taps(shape[i + 1], a.size[i], a) for i in (0, 1))
        return ResizeBilinearParams(shape, graph.tensors[node.output].shape, rows, columns)

    def evaluate_int(
        self, params: ResizeBilinearParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        total = interpolate(inputs[0].astype(np.int64), params.rows, params.columns, ONE)
        return (divide_round_half_away(total, ONE * ONE).astype(np.int8),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, ResizeBilinearAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if a.align_corners and a.half_pixel_centers:
            return "it aligns corners and centres pixels at once"
        for n, m in zip(x.shape[1:3], a.size, strict=True):
            if integer_taps(n, m, a).first.max() >= n:
                return f"{n} to {m} pixels: the kernel's steps of 1/1024 run over the end"
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = ResizeBilinear()
