"""Reads the shapes of inputs as the command line spells them."""

from __future__ import annotations

from edgecnn.errors import UserError
from edgecnn.frontends.onnx_inputs import InputShapes


def parse_shape(text: str) -> tuple[int, ...]:
    """A shape such as 1,3,32,32."""
    try:
        shape = tuple(int(part) for part in text.lower().replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UserError(f"--input-shape '{text}' is not a list of positive sizes: 1,3,32,32")
    return shape


def input_shapes(texts: list[str]) -> InputShapes:
    """Shapes by name (NAME:1,3,32,32), or in the order of the inputs."""
    named = [text.rpartition(":") for text in texts]
    if not any(colon for _, colon, _ in named):
        return [parse_shape(text) for text in texts]
    if not all(name for name, _, _ in named):
        raise UserError("--input-shape is given with and without names; name all inputs or none")
    return {name: parse_shape(text) for name, _, text in named}
