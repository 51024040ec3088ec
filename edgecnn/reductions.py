"""What the operators that reduce axes have in common."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.ir import Attributes, Shape


@dataclass(frozen=True)
class ReduceAttributes(Attributes):
    """Axes are non-negative and ascending."""

    axes: tuple[int, ...]
    keep_dims: bool = False


def reduced_shape(attributes: ReduceAttributes, shape: Shape) -> Shape:
    """The shape without the reduced axes, or with 1 in their place."""
    if not set(attributes.axes) <= set(range(len(shape))):
        raise ValueError(f"it has no axes {attributes.axes}")
    if attributes.keep_dims:
        return tuple(1 if i in attributes.axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in attributes.axes)
