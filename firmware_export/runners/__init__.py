"""Runners: everything that can compute an exported network, one module each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from edgecnn.errors import UserError
from edgecnn.operators import discover
from edgecnn.parity import Runner

#: The order in which runners are shown.
_ORDER = ("numpy", "tflm", "tflite", "litert", "host-c")


def all_runners() -> dict[str, Runner]:
    """Every runner by name, in the order in which they are shown."""
    found = cast("dict[str, Runner]", discover("firmware_export.runners", "RUNNER"))
    by_name = {runner.name: runner for runner in found.values()}
    known = [name for name in _ORDER if name in by_name]
    return {name: by_name[name] for name in [*known, *sorted(by_name.keys() - set(known))]}


def select(names: str | Sequence[str] | None) -> list[Runner]:
    """Runners by a comma-separated list of names, or all of them; `UserError` for others."""
    table = all_runners()
    if names is None:
        return list(table.values())
    wanted = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in table]
    if unknown or not wanted:
        raise UserError(f"runner '{', '.join(unknown)}' is unknown; there are {', '.join(table)}")
    return [table[name] for name in dict.fromkeys(wanted)]
