"""Cases of the operators that move blocks of an image to channels, and back."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn.ir import Shape
from edgecnn.operators import operator
from tests.ops.case_table import Case, Rng, Value, draw_scale, draw_zero_point


def blocks(op: str, name: str, x: Value | Shape, block: int) -> Case:
    """Blocks of an image, or of one of some shape."""
    make: Callable[..., object] = operator(op).attributes
    value = x if isinstance(x, Value) else Value(x, 0.1, 5)
    return Case(name, op, [value], make(block))  # type: ignore[arg-type]


def draw_blocks(op: str, rng: Rng, name: str, shape_of: Callable[..., Shape]) -> Case:
    """A random image; ``shape_of`` makes its shape of rows, columns, channels and block size."""
    block, (h, w, c) = int(rng.integers(1, 5)), (int(n) for n in rng.integers(1, 5, 3))
    x = Value(shape_of(h, w, c, block), draw_scale(rng), draw_zero_point(rng))
    return blocks(op, name, x, block)
