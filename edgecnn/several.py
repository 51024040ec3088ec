"""Options of a command that takes several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from edgecnn.errors import UserError

T = TypeVar("T")


def for_each(
    option: str, values: Sequence[T] | None, models: Sequence[str], kind: str = "model"
) -> dict[str, T | None]:
    """What an option says of each model: one value each, in their order, or None for all.

    ``kind`` says what models these are. Raises `UserError` for any other number of values.
    """
    if values and len(values) != len(models):
        times = "once" if len(values) == 1 else f"{len(values)} times"
        found = ", ".join(models) or f"no {kind}"
        raise UserError(
            f"{option} is given {times}; it goes once with each {kind}, in their order: {found}"
        )
    if not values:
        return dict.fromkeys(models)
    return dict(zip(models, values, strict=True))


def require_one_or_shared(
    models: Sequence[str], *, shared_arena: bool, reading: Sequence[str]
) -> None:
    """Raise `UserError` unless several models are to share an arena and need no more options.

    ``reading`` are the options given that say how one model is read.
    """
    if len(models) == 1:
        return
    if not shared_arena:
        raise UserError(
            f"{len(models)} models ({', '.join(models)}): several are exported together with "
            "--shared-arena, else one by one"
        )
    repeated = next((model for model in models if list(models).count(model) > 1), None)
    if repeated is not None:
        raise UserError(f"{repeated} is given twice")
    if reading:
        raise UserError(
            f"{reading[0]} says how one model is read; of several, each is to be a file that needs "
            "no such option"
        )
