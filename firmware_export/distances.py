"""How far below its input a kernel may write its output, from the order in which it works.

A kernel works in steps: each reads some bytes of the input, and then writes some of the output.
With W(t), the end of all that was written up to and including step t, and R(t), the first byte of
the input that a step after t still reads, the distance is

    D = max over all steps t of  W(t) - R(t).

An output that begins D bytes or more below the input never harms it: a byte b of the output,
written in step t, lies at output + b < output + W(t) <= output + D + R(t) <= input + R(t), and all
that is read after step t lies there or above. So any larger distance is as good, and a negative
one says that the output may begin above the input. Steps have to be as small as the kernel makes
them: a step that still reads when it begins to write is to be cut into smaller ones.

Within a step the order does not matter to compilers, since no kernel says ``restrict``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.binary_operator import BinaryParams
from edgecnn.convolution_operator import ConvolutionParams
from edgecnn.ir import Array, Shape
from edgecnn.pool_operator import PoolParams
from edgecnn.windows import Pair
from firmware_export.exporters import Distance

#: By position of a call's inputs, as `CLayer` has them.
Overlaps = Mapping[int, Distance]

#: Of kernels that read each value right before they write the one in its place.
IN_PLACE: Overlaps = {0: Distance(0)}
#: Stands for the first byte that is read where nothing is.
NOTHING = 1 << 48


def frontier(first_read: Array, written: Array) -> int:
    """The distance in bytes of steps in order: W(t) - R(t) at its largest.

    ``first_read`` has the first byte of the input that each step reads, or `NOTHING`; ``written``
    the end of what it writes. Both are int64, of any shape, steps in row-major order.
    """
    ends = np.maximum.accumulate(written.ravel())
    reads = np.append(first_read.ravel()[1:], NOTHING)
    left = np.minimum.accumulate(reads[::-1])[::-1]
    return int((ends - left).max())


def overlaps(first_read: Array, written: Array, input_bytes: int) -> Overlaps:
    """The distance of a kernel with one input, where it saves anything; see `frontier`."""
    distance = max(frontier(first_read, written), -input_bytes)
    return {0: Distance(distance)} if distance < int(written.max()) else {}


def of_int16(found: Overlaps) -> Overlaps:
    """The distances of a kernel on int16 values, that are those of one on bytes: twice as far."""
    return {i: Distance(2 * d.bytes, d.is_exact) for i, d in found.items()}


def of_operands(p: BinaryParams) -> Overlaps:
    """Of a kernel that computes pairs in order: operands that are not repeated are read once."""
    size = math.prod(p.output_shape)
    return {
        i: Distance(0)
        for i, (shape, data) in enumerate(zip(p.input_shapes, p.constants, strict=True))
        if math.prod(shape) == size and data is None
    }


def walk(shape: Shape, strides: Sequence[int]) -> Array:
    """Where loops over axes with these strides come by: int64 of that shape."""
    found: Array = np.zeros(shape, np.int64)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        steps = [1] * len(shape)
        steps[axis] = size
        found += (np.arange(size) * stride).reshape(steps)
    return found


def moves(sources: Array, input_bytes: int) -> Overlaps:
    """Of a kernel that copies byte by byte: ``sources`` says where each of the output is from."""
    return overlaps(sources, 1 + np.arange(sources.size), input_bytes)


def first_bytes(rows: Array, columns: Array, image: tuple[int, int, int]) -> Array:
    """First byte of areas of an image (H, W, C): int64 (rows, columns).

    They begin at the given rows and columns; what is above or at the left of the image is left
    out, and what begins below or at the right of it reads nothing.
    """
    height, width, channels = image
    y, x = np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None, :]
    return np.where((y < height) & (x < width), (y * width + x) * channels, NOTHING)


@dataclass(frozen=True)
class Sliding:
    """A window over an image: shapes are (height, width, channels), pairs (down, across)."""

    image: tuple[int, int, int]
    output: tuple[int, int, int]
    stride: Pair
    #: Rows and columns of padding before the image.
    pad: Pair
    dilation: Pair = (1, 1)

    @property
    def input_bytes(self) -> int:
        """Size of the image."""
        return int(np.prod(self.image))

    @property
    def positions(self) -> int:
        """How many there are."""
        return self.output[0] * self.output[1]

    @property
    def first_reads(self) -> Array:
        """First byte that each position of the window reads: int64 (height, width)."""
        starts = [
            np.arange(n) * step - pad
            for n, step, pad in zip(self.output, self.stride, self.pad, strict=False)
        ]
        rows, columns = (
            np.where(start < 0, start % apart, start)
            for start, apart in zip(starts, self.dilation, strict=True)
        )
        return first_bytes(rows, columns, self.image)

    def in_blocks(self, begins: Sequence[int], pixels: int) -> Overlaps:
        """Of kernels that read all for some pixels of the output, then write all channels of them.

        ``begins`` has the first pixel of each block, in order.
        """
        reads = self.first_reads.ravel()
        count, channels = reads.size, self.output[2]
        first = np.array([reads[begin : begin + pixels].min() for begin in begins])
        ends = np.minimum(np.array(begins) + pixels, count) * channels
        return overlaps(first, ends, self.input_bytes)

    def in_parts(self, reads: Sequence[int], ends: Sequence[int]) -> Overlaps:
        """Of kernels that compute a pixel part by part of its channels.

        ``reads`` has the first channel of the input that each part reads, ``ends`` the one of the
        output after those that it writes.
        """
        pixels = self.first_reads.reshape(-1, 1)
        written = np.arange(len(pixels)).reshape(-1, 1) * self.output[2]
        return overlaps(pixels + np.array(reads), written + np.array(ends), self.input_bytes)

    def in_tiles(self, tile: Pair, count: int = 2) -> Overlaps:
        """Of Winograd's kernels: some tiles are read, then all outputs of these written.

        ``tile`` is rows and columns of the outputs of one, ``count`` how many there are at a time.
        """
        height, width, channels = self.output
        rows, columns = np.arange(0, height, tile[0]), np.arange(0, width, tile[1])
        first = first_bytes(rows - self.pad[0], columns - self.pad[1], self.image).ravel()
        last_row = np.minimum(rows + tile[0], height)[:, None] - 1
        last = last_row * width + np.minimum(columns + tile[1], width)[None, :]
        ends = (last * channels).ravel()
        whole = np.arange(0, first.size, count)
        return overlaps(
            np.minimum.reduceat(first, whole), np.maximum.reduceat(ends, whole), self.input_bytes
        )


def _image(shape: Shape) -> tuple[int, int, int]:
    """Height, width and channels of (N, H, W, C)."""
    _, height, width, channels = shape
    return height, width, channels


def convolution(p: ConvolutionParams) -> Sliding:
    """The window of a convolution."""
    return Sliding(
        _image(p.input_shape),
        _image(p.output_shape),
        p.stride,
        (p.padding[0], p.padding[2]),
        p.dilation,
    )


def pool(p: PoolParams) -> Sliding:
    """The window of a pooling."""
    window = p.window
    return Sliding(
        _image(p.input_shape),
        _image(p.output_shape),
        window.stride,
        (window.padding[0], window.padding[2]),
    )


def parts(size: int, step: int) -> tuple[list[int], list[int]]:
    """First channels of blocks of up to ``step``, and where the blocks end."""
    firsts = list(range(0, size, step))
    return firsts, [min(first + step, size) for first in firsts]


def pooled_in_bytes(p: PoolParams) -> Overlaps:
    """Of pooling channel by channel."""
    return pool(p).in_parts(*parts(p.input_shape[3], 1))


def pooled_in_words(p: PoolParams, wide: int) -> Overlaps:
    """Of pooling in words: ``wide`` channels at a time, then four, the last ones once more."""
    channels = p.input_shape[3]
    if channels < 4:
        return pooled_in_bytes(p)
    whole = channels // wide * wide
    firsts = [*range(0, whole, wide), *range(whole, channels, 4)]
    ends = [*range(wide, whole + 1, wide), *range(whole + 4, channels + 4, 4)]
    return pool(p).in_parts(
        [min(first, channels - 4) for first in firsts], [min(end, channels) for end in ends]
    )


def rows_of_units(rows: int, depth: int, ends: Sequence[int]) -> Overlaps:
    """Of fully connected layers: blocks of units, with these ends, that read a whole row each."""
    units = ends[-1]
    first = np.repeat(np.arange(rows) * depth, len(ends))
    written = (np.arange(rows)[:, None] * units + np.array(ends)).ravel()
    return overlaps(first, written, rows * depth)


def concatenated(rows: int, sizes: Sequence[int]) -> Overlaps:
    """Of a concatenation of rows of these sizes, copied byte by byte in order.

    Right before byte k of row r of an input is read, r rows of all inputs, the inputs before in
    its own row and k bytes are written.
    """
    total = sum(sizes)
    before = np.cumsum([0, *sizes[:-1]])
    found = (int(b) + (rows - 1) * (total - n) for b, n in zip(before, sizes, strict=True))
    return {i: Distance(d) for i, d in enumerate(found) if d < rows * total}


def padded(shape: Shape, paddings: Sequence[tuple[int, int]]) -> Overlaps:
    """Of a border around a tensor, written in order: each value is read right before its copy."""
    inside = np.pad(np.ones(shape, bool), paddings).ravel()
    places = np.flatnonzero(inside)
    reads = np.append(NOTHING, np.arange(places.size))  # first what is before the first value
    return overlaps(reads, np.append(places, inside.size), places.size)


def in_groups(written: Array, last_read: Array) -> Overlaps:
    """Of kernels that compute a few channels of the whole image at a time, each of the same one.

    Where the output begins just where the input does, pixels lie on pixels and channels on the
    same channels, so that no group harms another one. Within a group, what is written in step
    ``written[q]`` over pixel q must not be read in a later one than that: ``last_read`` says when
    it is, -1 never. Both are int64, by pixel, in row-major order.
    """
    both = slice(min(written.size, last_read.size))
    is_sound = bool((last_read.ravel()[both] <= written.ravel()[both]).all())
    return {0: Distance(0, is_exact=True)} if is_sound else {}
