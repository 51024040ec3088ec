"""Models of one operator, in the forms that the tests of the ONNX front end need."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.helper import make_node as node

from tests.onnx_models import model_of, random, value

IMAGE = (1, 4, 9, 8)
SEQUENCE = (1, 4, 11)


def one(
    op: str,
    shape: tuple[int, ...] = IMAGE,
    *constants: Any,
    opset: int = 21,
    outputs: int = 1,
    **attributes: Any,
) -> Any:
    """A model of one operator on input x; constants are its other inputs, None where absent."""
    names = ["" if c is None else f"c{i}" for i, c in enumerate(constants)]
    given = {name: c for name, c in zip(names, constants, strict=True) if name}
    results = ["y", *(f"y{i}" for i in range(1, outputs))]
    return model_of(
        [node(op, ["x", *names], results, **attributes)], {"x": shape}, given, opset=opset
    )


def f32(*values: float) -> Any:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


def conv(*weights: int, bias: bool = True, **attributes: Any) -> Any:
    terms = [random(*weights)] + ([random(weights[0])] if bias else [])
    return one("Conv", IMAGE, *terms, **attributes)


def normalization(shape: tuple[int, ...], opset: int = 21, **attributes: Any) -> Any:
    channels = shape[1]
    vectors = [random(channels) for _ in range(3)]
    variance = np.abs(random(channels)) + 0.5
    return one("BatchNormalization", shape, *vectors, variance, opset=opset, **attributes)


def gemm(*addend: int, shape: tuple[int, int] = (5, 3), **attributes: Any) -> Any:
    """Gemm on a (1, 5) input; the shape of C, or () for none."""
    weights = random(*(shape[::-1] if attributes.get("transB") else shape))
    return one("Gemm", (1, 5), weights, *([random(*addend)] if addend else []), **attributes)


def network(nodes: list[Any], constants: dict[str, Any], shape: Any = IMAGE, **more: Any) -> Any:
    return model_of(nodes, {"x": shape}, constants, **more)


def old_sum(size: int = 8, **attributes: Any) -> Any:
    """A sum with a vector, as opset 6 spells it."""
    model = model_of(
        [node("Add", ["x", "b"], ["y"], broadcast=1, **attributes)],
        [value("x", IMAGE), value("b", (size,))],
        {"b": random(size)},
        opset=6,
    )
    model.graph.output[0].CopyFrom(value("y", IMAGE))
    return model
