"""Cases of operators with two int8 operands: shapes that broadcast, and all 65,536 pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgecnn.ir import Array, Attributes, Shape
from tests.ops.case_table import Case, Constant, Rng, Value, check, draw, draw_scale
from tests.ops.case_table import draw_zero_point as zero_point

Quant = tuple[float, int]
Quants = tuple[Quant, Quant, Quant]
#: The shape of an operand that is fed, or the bytes of a constant one.
Operand = Shape | Array

BYTES: Array = np.arange(-128, 128).astype(np.int8)

#: Scales and zero points of both operands and the output.
PAIR_SCALES: dict[str, Quants] = {
    "near": ((0.05, 3), (0.03, -20), (0.06, 1)),
    "equal": ((0.05, 0), (0.05, 0), (0.1, 0)),
    "one-sided": ((0.0237, -128), (0.0411, 17), (0.0529, -128)),
    "far-apart": ((1e-4, 5), (0.9, -5), (1.0, 0)),
    "saturating": ((0.3, 127), (0.2, -128), (0.01, 0)),
    "vanishing": ((0.01, 127), (0.02, -128), (7.0, 127)),
}


def binary(
    name: str, op: str, a: Operand, b: Operand, scales: Quants, attributes: Attributes | None = None
) -> Case:
    """An operator on two operands."""
    operands = [
        Value(x, *quant) if isinstance(x, tuple) else Constant(x, (quant[0],), quant[1])
        for x, quant in zip((a, b), scales, strict=False)
    ]
    return Case(name, op, operands, attributes or Attributes(), scales[2])


def shapes_of() -> dict[str, tuple[Shape, Shape]]:
    """Pairs of shapes that broadcast."""
    return {
        "same": ((1, 3, 4, 2), (1, 3, 4, 2)),
        "rank-5": ((1, 2, 2, 3, 2), (1, 2, 2, 3, 2)),
        "channel": ((1, 3, 4, 2), (1, 1, 1, 2)),
        "channel-first": ((1, 1, 1, 2), (1, 3, 4, 2)),
        "map": ((1, 3, 4, 2), (1, 3, 4, 1)),
        "scalar": ((1, 3, 4, 2), (1,)),
        "rows-and-columns": ((1, 3, 1, 2), (1, 1, 4, 1)),
        "lower-rank": ((1, 3, 4, 2), (4, 2)),
        "one-value": ((1, 1), (1, 1)),
    }


def named_cases(make: Callable[..., Case]) -> list[Case]:
    """Operands that broadcast, and constant ones."""
    return [
        *(make(f"shapes-{name}", *shapes) for name, shapes in shapes_of().items()),
        make("constant-second", (1, 3, 3, 4), BYTES[:4]),
        make("constant-first", BYTES[:4], (1, 3, 3, 4)),
        make("constant-of-full-shape", (1, 3, 4), BYTES[:12].reshape(1, 3, 4)),
        make("constant-number", (1, 3, 4), BYTES[77:78]),
    ]


def check_all_pairs(
    make: Callable[..., Case], scales: Mapping[str, Quants], directory: Path
) -> None:
    """An operator on all 65,536 pairs of bytes, at several scales."""
    grid = np.meshgrid(BYTES, BYTES)
    pair = [g.astype(np.int8).reshape(1, 1, 65536) for g in grid]
    cases = [make(name, (1, 65536), (1, 65536), s) for name, s in scales.items()]
    check(cases, directory, feeds={f"{c.name}/{i}": pair[i] for c in cases for i in (0, 1)})


def draw_pair(rng: Rng, *, product: bool = False) -> tuple[Operand, Operand, Quants]:
    """Shapes that broadcast, and scales; ``product`` fits the output to products of operands."""
    shape = (1, *(int(n) for n in rng.integers(1, 7, 3)))
    other = tuple(n if rng.random() < 0.7 else 1 for n in shape)
    a, b = draw(rng, ((shape, shape), (shape, other), (other, shape)))
    if rng.random() < 0.2:
        b = rng.integers(-128, 128, b, dtype=np.int8)
    first = draw_scale(rng)
    ratio = 2.0 ** rng.uniform(-20, 20) if rng.random() < 0.2 else rng.uniform(0.3, 3)
    second = first * float(ratio)
    far = 2.0 ** rng.uniform(-8, 16) if rng.random() < 0.2 else rng.uniform(0.5, 3)
    outer = (50 * first * second if product else max(first, second)) * float(far)
    quants = tuple((scale, zero_point(rng)) for scale in (first, second, outer))
    return a, b, quants  # type: ignore[return-value]
