"""ONNX's Resize and Upsample, by the nearest pixel or bilinear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.ops import resize_bilinear, resize_nearest
from edgecnn.frontends.ops.slice import taken
from edgecnn.frontends.sequences import as_images, as_sequences
from edgecnn.frontends.spelling import OnnxNode, onnx
from edgecnn.ir import Array
from edgecnn.ops.resize_bilinear import ResizeBilinearAttributes

#: Places in the input of ``m`` outputs from ``n`` inputs, ``scale`` outputs to an input.
_COORDINATES: dict[str, Callable[[Array, int, int, float], Array]] = {
    "half_pixel": lambda i, n, m, scale: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, n, m, scale: (i + 0.5) / scale - 0.5 if m > 1 else 0.0 * i,
    "asymmetric": lambda i, n, m, scale: i / scale,
    "half_pixel_symmetric": lambda i, n, m, scale: (
        n / 2 * (1 - m / (n * scale)) + (i + 0.5) / scale - 0.5
    ),
    # By the size before it is rounded down.
    "align_corners": lambda i, n, m, scale: i * (n - 1) / (n * scale - 1) if m > 1 else 0.0 * i,
    "tf_half_pixel_for_nn": lambda i, n, m, scale: (i + 0.5) / scale,
}

_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}

#: TFLite's (align_corners, half_pixel_centers) of bilinear resizing.
_FLAGS = {
    "half_pixel": (False, True),
    "half_pixel_symmetric": (False, True),
    "pytorch_half_pixel": (False, True),
    "asymmetric": (False, False),
    "align_corners": (True, False),
}


def _choice(table: dict[str, Callable[..., Array]], name: str, what: str) -> Callable[..., Array]:
    if name not in table:
        raise Unsupported(f"its {what} is '{name}'; there are {', '.join(table)}")
    return table[name]


def _whole(b: GraphBuilder, node: OnnxNode, given: list[float]) -> list[float]:
    """Values for every axis from those for the axes that the node names."""
    rank = len(b.shape(node.value(0)))
    axes = node.attributes.get("axes")
    if axes is None:
        return given
    whole = [0.0] * rank
    for axis, value in zip(axes, given, strict=True):
        whole[axis] = value
    return whole


def _sizes_and_scales(b: GraphBuilder, node: OnnxNode) -> tuple[list[int], list[float]]:
    """Output size and scale of each axis; an axis that is not named keeps its size."""
    shape = b.shape(node.value(0))
    position = 2 if node.op_type == "Resize" and node.opset >= 11 else 1
    sizes = node.optional(3) if position == 2 else None
    if sizes is not None:
        found = _whole(b, node, [float(n) for n in integers(b, sizes, "sizes")])
        whole = [int(m) or n for n, m in zip(shape, found, strict=True)]
        return whole, [m / n for n, m in zip(shape, whole, strict=True)]
    scales = node.optional(position)
    data = np.array(node.attributes["scales"]) if scales is None else b.data(scales)
    if data is None:
        raise Unsupported("its scales are computed by the network; they must be constant")
    factors = [f or 1.0 for f in _whole(b, node, [float(f) for f in data.reshape(-1)])]
    return [int(np.floor(n * f)) for n, f in zip(shape, factors, strict=True)], factors


@onnx("Resize", "Upsample")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Resize and Upsample of height and width, or of a length, to a constant size."""
    x, a = node.value(0), node.attributes
    sizes, scales = _sizes_and_scales(b, node)
    if sizes[:2] != list(b.shape(x)[:2]):
        raise Unsupported("it resizes the batch or the channels")
    if a.get("antialias") or a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("it filters, or keeps the aspect ratio", "resize to a plain size")
    if len(sizes) == 3:
        wide = _resized(b, as_images(b, x), node, [*sizes[:2], 1, sizes[2]], [1.0, scales[2]])
        return as_sequences(b, wide)
    return _resized(b, x, node, sizes, scales[2:])


def _resized(
    b: GraphBuilder, x: Value, node: OnnxNode, sizes: list[int], scales: list[float]
) -> Value:
    a, image = node.attributes, b.shape(x)[2:]
    is_old = node.op_type == "Upsample" or node.opset < 11
    ways = a.get("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    mode = a.get("mode", "nearest")
    if mode == "nearest":
        places = _choice(_COORDINATES, ways, "coordinate transformation")
        rounding = a.get("nearest_mode", "floor" if is_old else "round_prefer_floor")
        whole = _choice(_ROUNDINGS, rounding, "nearest mode")
        rows, columns = (
            np.clip(whole(places(np.arange(m), n, m, scale)).astype(np.int64), 0, n - 1)
            for n, m, scale in zip(image, sizes[2:], scales, strict=True)
        )
        return resize_nearest.from_nchw(b, x, rows, columns)
    if mode not in ("linear", "bilinear") or ways not in _FLAGS:
        raise Unsupported(f"its mode is '{mode}', '{ways}'", "use nearest or linear")
    height, width = sizes[2:]
    if any(abs(n * s - m) > 1e-5 * m for n, m, s in zip(image, sizes[2:], scales, strict=True)):
        raise Unsupported("its scales lead to a broken size", "give it sizes")
    if ways == "pytorch_half_pixel":
        # One row of several is the first there, not that in the middle.
        for axis in (axis for axis in (2, 3) if sizes[axis] == 1):
            x = taken(b, x, axis, 0, 1)
    attributes = ResizeBilinearAttributes((height, width), *_FLAGS[ways])
    return resize_bilinear.from_nchw(b, x, attributes)
