"""How ONNX spells sliding windows: kernel_shape, strides, pads, auto_pad, ceil_mode."""

from __future__ import annotations

from typing import Any

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import Unsupported
from edgecnn.frontends.spelling import OnnxNode
from edgecnn.windows import Padding, Pair, Window, same_padding


def _pair(attributes: dict[str, Any], name: str) -> Pair:
    """(height, width) of an attribute that is 1 where it is absent."""
    values = attributes.get(name, [1, 1])
    if len(values) != 2 or min(values) < 1:
        raise ModelFormatError(f"the attribute {name} is {values}; two sizes over 0 are needed")
    return int(values[0]), int(values[1])


def _explicit(attributes: dict[str, Any]) -> Padding:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if len(pads) != 4:
        raise ModelFormatError(f"the attribute pads is {pads}; an image takes four")
    if min(pads) < 0:
        raise Unsupported(f"it crops (pads {pads})")
    top, left, bottom, right = (int(n) for n in pads)
    return top, bottom, left, right


def _swapped(padding: Padding) -> Padding:
    top, bottom, left, right = padding
    return bottom, top, right, left


def onnx_window(node: OnnxNode, image: Pair, size: Pair | None = None) -> Window:
    """The window of a Conv or pooling node over an image of (height, width).

    ``size`` is that of the weights; pooling has the attribute kernel_shape instead. What
    ceil_mode adds is not in it, see `ceil_padding`.
    """
    a = node.attributes
    declared = _pair(a, "kernel_shape") if "kernel_shape" in a else size
    if declared is None or (size is not None and declared != size):
        raise ModelFormatError(f"the attribute kernel_shape {declared} contradicts {size}")
    stride, dilation = _pair(a, "strides"), _pair(a, "dilations")
    mode = a.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        padding = _explicit(a)
    elif mode == "VALID":
        padding = (0, 0, 0, 0)
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        upper = same_padding(image, declared, stride, dilation)
        padding = upper if mode == "SAME_UPPER" else _swapped(upper)
    else:
        raise ModelFormatError(f"the attribute auto_pad is {mode!r}")
    return Window(declared, stride, padding, dilation)


def ceil_padding(node: OnnxNode, window: Window, image: Pair) -> Padding:
    """The window's padding, longer at the end under ceil_mode.

    The last window may hang over the end, but must start in the image or the padding before it.
    """
    top, bottom, left, right = window.padding
    if not node.attributes.get("ceil_mode", 0):
        return window.padding

    def after(n: int, k: int, s: int, before: int, end: int) -> int:
        count = -(-(n + before + end - k) // s) + 1
        if (count - 1) * s >= n + before:
            count -= 1
        return max(end, (count - 1) * s + k - n - before)

    (kh, kw), (sh, sw) = window.extent, window.stride
    return (
        top, after(image[0], kh, sh, top, bottom),
        left, after(image[1], kw, sw, left, right),
    )  # fmt: skip


def pooling_window(node: OnnxNode, image: Pair) -> Window:
    """The window of a pooling node; a dilated one is refused."""
    if "kernel_shape" not in node.attributes:
        raise ModelFormatError("a pooling operator has no kernel_shape")
    window = onnx_window(node, image)
    if window.dilation != (1, 1):
        raise Unsupported(f"its dilation is {window.dilation}; only 1 is supported")
    return window
