"""Runners: everything that can compute an exported network, one module each."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from edgecnn.errors import UserError
from edgecnn.parity import Runner

#: Runners that need nothing but this machine, in the order in which they are shown.
HOST_RUNNERS = ("numpy", "tflm", "tflite", "litert", "host-c")


@runtime_checkable
class Cross(Protocol):
    """A runner of code for another core."""

    def built_by(self, compiler: str) -> Runner:
        """The same with another compiler."""
        ...


def _found() -> Iterator[Runner]:
    """What the modules of this package offer: one ``RUNNER`` or several ``RUNNERS`` each."""
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        yield from getattr(module, "RUNNERS", None) or (module.RUNNER,)


def all_runners() -> dict[str, Runner]:
    """Every runner by name, in the order in which they are shown: those of the host first."""
    by_name = {runner.name: runner for runner in _found()}
    return {name: by_name[name] for name in dict.fromkeys([*HOST_RUNNERS, *by_name])}


def select(names: str | Sequence[str] | None, compiler: str | None = None) -> list[Runner]:
    """Runners by a comma-separated list of names, or all of them; `UserError` for others.

    ``compiler`` is what those of other cores build with, of their own choice by default.
    """
    table = all_runners()
    if names is None:
        return [_built_by(runner, compiler) for runner in table.values()]
    wanted = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in table]
    if unknown or not wanted:
        raise UserError(f"runner '{', '.join(unknown)}' is unknown; there are {', '.join(table)}")
    return [_built_by(table[name], compiler) for name in dict.fromkeys(wanted)]


def _built_by(runner: Runner, compiler: str | None) -> Runner:
    if compiler is not None and isinstance(runner, Cross):
        return runner.built_by(compiler)
    return runner
