"""Dilated convolutions as older converters write them to ``.tflite`` files.

SPACE_TO_BATCH_ND deals every n-th row and column of an image out to batches, a convolution runs
over those, and BATCH_TO_SPACE_ND puts its results together: the convolution of the whole image
with a dilation of n, which is what is imported here. Images come as (N, H, W, C), sequences as
(N, T, C), which are made images for the convolution only.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, importers
from edgecnn.frontends.windows import VALID, tflite_window_padding
from edgecnn.ir import INT8, QuantParams, Shape
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.windows import Pair

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_RESHAPES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")

#: Why nothing else may stand between the two operators.
REASON = (
    "SPACE_TO_BATCH_ND is read only where one convolution stands between it and BATCH_TO_SPACE_ND"
)


@dataclass(frozen=True)
class Batches:
    """What SPACE_TO_BATCH_ND made of a value, and what was done to it since.

    ``block`` and ``paddings`` have an entry for each of the axes between batch and channels.
    ``row_axis`` is where a sequence was given the axis that makes it an image.
    """

    source: Value
    block: tuple[int, ...]
    paddings: tuple[Pair, ...]
    row_axis: int | None = None
    convolution: TfliteOperator | None = None

    def after(self, op: TfliteOperator, before: Shape) -> Batches:
        """What an operator makes of it; ``before`` is the shape that the file declares.

        The operator's first input is not looked at. Raises `Unsupported` for any but one
        convolution and what reshapes sequences around it.
        """
        if op.name in _CONVOLUTIONS:
            return self._convolved(op)
        if op.name in _RESHAPES:
            return self._reshaped(before, op.output.shape)
        raise Unsupported(REASON)

    def _convolved(self, op: TfliteOperator) -> Batches:
        if self.convolution is not None:
            raise Unsupported(REASON)
        if (op.options.strideH, op.options.strideW) != (1, 1):
            raise Unsupported("it has a stride between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND")
        return dataclasses.replace(self, convolution=op)

    def _reshaped(self, before: Shape, after: Shape) -> Batches:
        """With the axis that makes sequences images, or, after the convolution, without it."""
        if self.convolution is None and self.row_axis is None and len(before) == 3:
            for axis in (1, 2):
                if after == (*before[:axis], 1, *before[axis:]):
                    return dataclasses.replace(self, row_axis=axis)
        elif self.convolution is not None and self.row_axis is not None:
            axis = self.row_axis
            if len(before) == 4 and after == before[:axis] + before[axis + 1 :]:
                return self
        raise Unsupported(REASON)


def _integers(b: GraphBuilder, value: Value | None) -> list[int]:
    data = b.data(value)
    if data is None:
        raise Unsupported("its block or border is computed by the network; it must be constant")
    return [int(n) for n in data.reshape(-1)]


def _block_and_border(
    b: GraphBuilder, op: TfliteOperator, rank: int
) -> tuple[tuple[int, ...], tuple[Pair, ...]]:
    """Block and paddings, or crops, of both operators."""
    block, ends = _integers(b, op.inputs[1]), _integers(b, op.inputs[2])
    if rank not in (3, 4) or len(block) != rank - 2:
        raise Unsupported("only (N, H, W, C) with 2 block sizes, or (N, T, C) with 1, is supported")
    if len(ends) != 2 * len(block) or min(block) < 1 or min(ends) < 0:
        raise ModelFormatError(f"{op.name} at '{op.output.name}' has a block or border that cannot")
    return tuple(block), tuple(zip(ends[::2], ends[1::2], strict=True))


def _check_kept(op: TfliteOperator, dtype: str, quant: QuantParams | None) -> None:
    """Both operators only move values, so that type, scale and zero point stay."""
    if op.output.dtype != dtype or op.output.quant != quant:
        raise Unsupported("its output differs from its input in type, scale or zero point")


def space_to_batches(b: GraphBuilder, op: TfliteOperator) -> Batches:
    """Note a SPACE_TO_BATCH_ND; nothing is emitted yet."""
    (x,) = op.inputs[:1]
    assert x is not None
    _check_kept(op, b.tensors[x].dtype, b.tensors[x].quant)
    return Batches(x, *_block_and_border(b, op, len(b.shape(x))))


def batches_to_space(b: GraphBuilder, batches: Batches, op: TfliteOperator) -> Value:
    """Import the dilated convolution that ends with a BATCH_TO_SPACE_ND."""
    convolution, shape = batches.convolution, b.shape(batches.source)
    if convolution is None or (len(shape) == 3 and batches.row_axis is None):
        raise Unsupported(REASON)
    _check_kept(op, convolution.output.dtype, convolution.output.quant)
    block, crops = _block_and_border(b, op, len(shape))
    if block != batches.block:
        raise Unsupported(f"its block {block} is not the {batches.block} of SPACE_TO_BATCH_ND")
    if len(shape) == 4:
        return _dilated(b, batches, crops, op)
    axis = batches.row_axis
    assert axis is not None
    image = _emit_beside(b, "reshape", batches.source, _with_row(shape, axis), op, "_image")
    at = axis - 1
    images = dataclasses.replace(
        batches,
        source=image,
        block=(*block[:at], 1, *block[at:]),
        paddings=(*batches.paddings[:at], (0, 0), *batches.paddings[at:]),
    )
    inner = dataclasses.replace(op.output, name=f"{op.output.name}_dilated")
    y = _dilated(
        b,
        images,
        (*crops[:at], (0, 0), *crops[at:]),
        dataclasses.replace(op, outputs=[inner]),
    )
    sizes = b.shape(y)
    sequence = ReshapeAttributes(sizes[:axis] + sizes[axis + 1 :])
    return op.emit(b, "reshape", [y], sequence)


def _with_row(shape: Shape, axis: int) -> ReshapeAttributes:
    return ReshapeAttributes((*shape[:axis], 1, *shape[axis:]))


def _emit_beside(
    b: GraphBuilder, name: str, x: Value, attributes: Any, op: TfliteOperator, suffix: str
) -> Value:
    """Append a node that keeps the type and scale of its input."""
    kept = b.tensors[x]
    label = op.output.name + suffix
    return b.emit(name, [x], attributes, name=label, dtype=kept.dtype, quant=kept.quant)


def _dilated(
    b: GraphBuilder, batches: Batches, crops: tuple[Pair, ...], op: TfliteOperator
) -> Value:
    """Pad an image as the batches were, less what is cropped, and convolve it with dilation."""
    convolution, x = batches.convolution, batches.source
    assert convolution is not None
    border = _border(b, batches, crops)
    if any(n for pair in border for n in pair):
        attributes = PadAttributes(((0, 0), *border, (0, 0)), 0.0)
        x = _emit_beside(b, "pad", x, attributes, op, "_padded")
    options = copy.copy(convolution.options)
    options.padding = VALID
    options.dilationHFactor *= batches.block[0]
    options.dilationWFactor *= batches.block[1]
    whole = TfliteOperator(convolution.name, [x, *convolution.inputs[1:]], options, [op.output], [])
    value: Value = importers().tflite[convolution.name](b, whole)
    return value


def _border(b: GraphBuilder, batches: Batches, crops: tuple[Pair, ...]) -> list[Pair]:
    """What the dilated convolution pads before and after, in height and in width.

    The convolution of the batches may pad, too: each of its rows is a whole block of them.
    """
    convolution, shape = batches.convolution, b.shape(batches.source)
    assert convolution is not None
    sizes, paddings = shape[1:3], batches.paddings
    if any(
        (n + sum(padding)) % block
        for n, padding, block in zip(sizes, paddings, batches.block, strict=True)
    ):
        raise ModelFormatError(
            f"SPACE_TO_BATCH_ND pads {sizes} by {paddings}, which blocks of {batches.block} "
            "do not divide"
        )
    parts = [
        (n + sum(padding)) // block
        for n, padding, block in zip(sizes, paddings, batches.block, strict=True)
    ]
    o = convolution.options
    top, bottom, left, right = tflite_window_padding(
        o.padding,
        (shape[0], *parts, shape[3]),
        b.shape(convolution.inputs[1] or "")[1:3],
        (1, 1),
        (o.dilationHFactor, o.dilationWFactor),
    )
    ends = zip(batches.block, paddings, ((top, bottom), (left, right)), crops, strict=True)
    border = [
        (padding[0] + block * inner[0] - crop[0], padding[1] + block * inner[1] - crop[1])
        for block, padding, inner, crop in ends
    ]
    if any(n < 0 for pair in border for n in pair):
        raise Unsupported("it crops more than SPACE_TO_BATCH_ND pads")
    is_read = any(
        n and padded
        for pair, padding in zip(border, paddings, strict=True)
        for n, padded in zip(pair, padding, strict=True)
    )
    if is_read and b.tensors[batches.source].dtype == INT8:
        raise Unsupported(
            "the border that SPACE_TO_BATCH_ND adds is not defined in TensorFlow Lite Micro, "
            "which leaves its value unset",
            "convert for an input of fixed size, so that a dilated convolution is written",
        )
    return border
