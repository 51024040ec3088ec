"""Shapes of the inputs of an ONNX network: what the file says, completed by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.errors import ModelFormatError, UserError
from edgecnn.ir import Shape

InputShapes = Mapping[str, Shape] | Sequence[Shape] | None


def by_name(names: Sequence[str], given: InputShapes) -> dict[str, Shape]:
    """The shapes that the user gave, by input; those without names are in the inputs' order."""
    if not given:
        return {}
    listed = ", ".join(names)
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise UserError(f"--input-shape names '{unknown[0]}'; the network's inputs: {listed}")
        return {name: tuple(shape) for name, shape in given.items()}
    if len(given) != len(names):
        raise UserError(
            f"--input-shape is given {len(given)} times; the network's inputs: {listed} "
            "(name one as NAME:1,3,32,32)"
        )
    return {name: tuple(shape) for name, shape in zip(names, given, strict=True)}


def declared_dims(info: Any) -> list[int | str] | None:
    """Sizes of a declared input, names (or "?") for dynamic ones; None where none are declared.

    Exporters also write -1 or 0 for a size that is dynamic.
    """
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [
        int(dim.dim_value) if dim.dim_value > 0 else (dim.dim_param or "?")
        for dim in tensor.shape.dim
    ]


def complete(name: str, dims: list[int | str] | None, wanted: Shape | None) -> Shape:
    """The shape of an input, with a batch of 1.

    A dynamic batch becomes 1; other dynamic sizes come from the user, who may also turn a fixed
    batch into 1. Raises `UserError` that asks for what is missing.
    """
    if wanted is not None:
        dims = _agreed(name, dims, wanted)
    if dims is None:
        raise UserError(
            f"input '{name}' declares no shape: give it, such as --input-shape {name}:1,3,32,32"
        )
    if len(dims) < 2:
        raise ModelFormatError(f"input '{name}' of shape {_text(dims)} has no batch dimension")
    sizes = [1 if i == 0 and isinstance(n, str) else n for i, n in enumerate(dims)]
    fixed = [n for n in sizes if isinstance(n, int)]
    if len(fixed) < len(sizes):
        example = ",".join(str(n) if isinstance(n, int) else "32" for n in sizes)
        raise UserError(
            f"input '{name}' has the dynamic shape {_text(dims)}: give its sizes, such as "
            f"--input-shape {name}:{example} or, in the order of the inputs, "
            f"--input-shape {example}"
        )
    if fixed[0] != 1:
        example = ",".join(map(str, (1, *fixed[1:])))
        raise UserError(
            f"input '{name}' has a fixed batch of {fixed[0]}: export with a batch of 1, or try "
            f"--input-shape {name}:{example}"
        )
    return tuple(fixed)


def _agreed(name: str, dims: list[int | str] | None, wanted: Shape) -> list[int | str]:
    """The user's shape, where it does not contradict the file."""
    if dims is not None:
        fixed = [isinstance(n, int) and i > 0 for i, n in enumerate(dims)]
        clash = len(dims) != len(wanted) or any(
            f and n != w for f, n, w in zip(fixed, dims, wanted, strict=True)
        )
        if clash:
            given = ",".join(map(str, wanted))
            raise UserError(
                f"--input-shape {given} contradicts input '{name}' of shape {_text(dims)}"
            )
    return list(wanted)


def _text(dims: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, dims))})"
