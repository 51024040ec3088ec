"""Tensors that are computed in another layout than their own, for `cancel_transposes`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Shape
from edgecnn.ops.transpose import MAX_RANK
from edgecnn.passes.editing import invert, permuted


@dataclass(frozen=True)
class View:
    """``source.reshape(split).transpose(permutation).reshape(shape)``.

    ``source`` names a tensor of shape ``source_shape``. A plain view only permutes its axes; the
    others come of reshaping a plain one, such as flattening NHWC in the order of NCHW.
    """

    source: str
    source_shape: Shape
    split: Shape
    permutation: tuple[int, ...]
    shape: Shape

    @staticmethod
    def plain(source: str, shape: Shape, permutation: Sequence[int] | None = None) -> View:
        """A view that permutes the axes of a source of the given shape, or leaves them."""
        order = tuple(range(len(shape))) if permutation is None else tuple(permutation)
        return View(source, shape, shape, order, permuted(shape, order))

    @property
    def is_plain(self) -> bool:
        """Whether the view is a transpose of its source and no more."""
        whole = self.source_shape == self.split
        return whole and self.shape == permuted(self.split, self.permutation)

    @property
    def keeps_order(self) -> bool:
        """Whether the values lie in memory as in the source: only axes of size 1 move."""
        moved = [axis for axis in self.permutation if self.split[axis] != 1]
        return moved == sorted(moved)

    @property
    def is_trivial(self) -> bool:
        """Whether the source can stand for the view."""
        return self.keeps_order and self.shape == self.source_shape

    def like(self, other: View) -> bool:
        """Whether two views differ in their source only."""
        mine = (self.source_shape, self.split, self.permutation, self.shape)
        return mine == (other.source_shape, other.split, other.permutation, other.shape)

    def to_source(self, data: Array) -> Array:
        """Lay out an array of the view's shape as the source is laid out."""
        inner = data.reshape(permuted(self.split, self.permutation))
        return inner.transpose(invert(self.permutation)).reshape(self.source_shape)

    def columns(self, depth: int) -> Array | None:
        """Where the view only reorders within rows of ``depth`` values: the order.

        Value k of each row of the view is value ``order[k]`` of the same row of the source.
        None where rows mix.
        """
        size = int(np.prod(self.split, dtype=np.int64))
        if size % depth:
            return None
        order = np.arange(size).reshape(self.split).transpose(self.permutation).reshape(-1, depth)
        rows = np.arange(size // depth)[:, None] * depth
        columns = order[0]
        same_rows = columns.max() < depth and np.array_equal(order, rows + columns)
        return columns if same_rows else None


def _matching_groups(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of axes of two shapes of equal size that hold the same number of values."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) and j < len(target):
        ins, outs, a, b = [i], [j], source[i], target[j]
        while a != b:
            if a < b:
                i += 1
                ins.append(i)
                a *= source[i]
            else:
                j += 1
                outs.append(j)
                b *= target[j]
        groups.append((ins, outs))
        i, j = i + 1, j + 1
    if groups:  # what is left has size 1
        groups[-1][0].extend(range(i, len(source)))
        groups[-1][1].extend(range(j, len(target)))
    return groups


def reshaped(view: View, target: Shape) -> tuple[Shape, tuple[int, ...]] | None:
    """Reshape the source of a plain view instead of the view.

    Returns the shape for the source and the permutation that leads from there to ``target``, or
    None where the reshape joins axes that do not lie side by side in the source.
    """
    wide = [axis for axis, n in enumerate(view.split) if n != 1]
    place = {axis: i for i, axis in enumerate(wide)}
    keyed: list[tuple[int, list[int]]] = []
    for ins, outs in _matching_groups(view.shape, target):
        places = [place[view.permutation[a]] for a in ins if view.shape[a] != 1]
        if any(b - a != 1 for a, b in itertools.pairwise(places)):
            return None
        keyed.append((places[0] if places else -1, outs))
    axes = [axis for _, outs in sorted(keyed, key=lambda pair: pair[0]) for axis in outs]
    if sorted(axes) != list(range(len(target))):
        return None
    return permuted(target, axes), invert(axes)


def regrouped(view: View) -> tuple[View, tuple[int, ...]]:
    """Split a view into one that can be written out and a permutation of its axes.

    Axes of the source that the view joins are brought side by side, all others stay where they
    are: of a view that is to be transposed this leaves the least to move.
    """
    inner = permuted(view.split, view.permutation)
    keyed: list[tuple[int, list[int], list[int]]] = []
    for ins, outs in _matching_groups(inner, view.shape):
        axes = [view.permutation[axis] for axis in ins]
        wide = [axis for axis in axes if view.split[axis] != 1]
        keyed.append((min(wide, default=-1), axes, outs))
    keyed.sort(key=lambda group: group[0])
    order = tuple(axis for _, axes, _ in keyed for axis in axes)
    joined = [axis for _, _, outs in keyed for axis in outs]
    shape = permuted(view.shape, joined)
    return View(view.source, view.source_shape, view.split, order, shape), invert(joined)


def narrowed(shape: Shape, order: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
    """Shape and order of an equal transpose in fewer axes, where there are more than TFLM takes.

    Axes of size 1 are left out, and axes that stay side by side become one: pixel shuffles,
    written as reshapes around six axes, need five at most.
    """
    if len(shape) <= MAX_RANK:
        return shape, order
    moved = [axis for axis in order if shape[axis] != 1]
    pairs = zip([-1, *moved], moved, strict=False)
    starts = [axis for before, axis in pairs if before < 0 or not _follows(shape, before, axis)]
    groups = sorted(starts)
    ends = [*groups[1:], len(shape)]
    sizes = tuple(math.prod(shape[first:end]) for first, end in zip(groups, ends, strict=True))
    return sizes, tuple(groups.index(axis) for axis in starts)


def _follows(shape: Shape, first: int, second: int) -> bool:
    """Whether an axis comes right behind another one, but for axes of size 1."""
    return first < second and all(n == 1 for n in shape[first + 1 : second])
