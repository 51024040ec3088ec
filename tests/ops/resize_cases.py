"""Cases of the operators that resize images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edgecnn.operators import operator
from tests.ops.case_table import Case, Rng, Value, draw, draw_image

#: Corners aligned, pixels centred.
Flags = tuple[bool, bool]
FLAGS: dict[str, Flags] = {
    "plain": (False, False),
    "corners": (True, False),
    "centres": (False, True),
}

SIZES = {
    "twice": ((3, 4, 3), (6, 8)),
    "thrice": ((3, 2, 1), (9, 6)),
    "half": ((6, 8, 2), (3, 4)),
    "uneven": ((5, 7, 2), (8, 3)),
    "same": ((4, 3, 2), (4, 3)),
    "from-one-pixel": ((1, 1, 3), (3, 4)),
    "to-one-pixel": ((5, 4, 3), (1, 1)),
    "one-row": ((1, 9, 2), (1, 21)),
    "large": ((7, 11, 2), (50, 31)),
}


def resize(
    op: str, name: str, x: Value | tuple[int, int, int], size: tuple[int, int], flags: Flags
) -> Case:
    """An image, or one of (height, width, channels), in another size."""
    make: Callable[..., object] = operator(op).attributes
    value = x if isinstance(x, Value) else Value((1, *x), 0.1, 5)
    return Case(name, op, [value], make(size, *flags))  # type: ignore[arg-type]


def named_cases(op: str, flags: Mapping[str, Flags]) -> list[Case]:
    """All sizes in all ways."""
    return [
        resize(op, f"{name}-{way}", image, size, each)
        for name, (image, size) in SIZES.items()
        for way, each in flags.items()
    ]


def draw_resize(op: str, rng: Rng, name: str, flags: Iterable[Flags]) -> Case:
    """A random image to a random size."""
    x = draw_image(rng, int(rng.integers(1, 5)), 1, 12)
    size = (int(rng.integers(1, 25)), int(rng.integers(1, 25)))
    return resize(op, name, x, size, draw(rng, flags))
