"""Several networks for one firmware, which take turns in one arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.errors import UserError
from edgecnn.ir import Graph
from firmware_export.c_writer import check_name, comment_text, environment
from firmware_export.device.target import choose
from firmware_export.export import Evidence, ExportResult, Step, export
from firmware_export.fit import Fit, fit_together
from firmware_export.staging import staging, write_files

#: What gives the size of the arena, beside the networks' folders.
HEADER = "shared_arena.h"


@dataclass(frozen=True, eq=False)
class Network:
    """What `export` takes of one network; ``name`` is the graph's own where it is empty."""

    graph: Graph
    name: str = ""
    evidence: Evidence | None = None
    source_tflite: bytes | None = None

    def export(self, directory: Path, **options: Any) -> ExportResult:
        """Write it into a folder, with the other options of `export`."""
        return export(
            self.graph,
            directory,
            name=self.name,
            evidence=self.evidence,
            source_tflite=self.source_tflite,
            **options,
        )


@dataclass(frozen=True, eq=False)
class SharedExport:
    """What an export of several networks wrote: each in a folder of its name, and one header.

    ``fit`` is that of all of them in one firmware on ``board``, None where there is none.
    """

    directory: Path
    networks: tuple[ExportResult, ...]
    board: str | None
    fit: Fit | None

    @property
    def name(self) -> str:
        """What the networks are together."""
        return f"the firmware of {', '.join(network.name for network in self.networks)}"

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena that is enough for each."""
        return max(network.memory.arena_bytes for network in self.networks)

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn export --shared-arena --json`` prints."""
        result: dict[str, Any] = {
            "networks": [network.to_json() for network in self.networks],
            "header": HEADER,
            "shared_arena_bytes": self.arena_bytes,
            "weight_bytes": sum(network.weight_bytes for network in self.networks),
        }
        if self.fit is not None:
            result["board"] = self.board
            result["fit"] = self.fit.to_json()
        return result


def export_together(
    networks: Sequence[Network],
    directory: str | Path,
    *,
    board: str | None = None,
    cpu: str | None = None,
    command: str = "edgecnn.export",
    step: Step = lambda text: None,
    **options: Any,
) -> SharedExport:
    """Write networks for one firmware into a folder: all of them, or nothing.

    Each gets a folder of its name, which is an export like any other; `HEADER` has the size of an
    arena for all. ``options`` are those of `export`, for each. Raises what `export` raises, and
    `UserError` where two networks have one name. Whether all fit the board together is in the
    result.
    """
    names = _names(networks)
    target = choose(cpu, board).board
    results = []
    with staging(Path(directory)) as folder:
        for name, network in zip(names, networks, strict=True):
            step(f"exporting {name}")
            result = network.export(
                folder / name, board=board, cpu=cpu, command=command, step=step, **options
            )
            results.append(replace(result, directory=Path(directory) / name))
        write_files(folder, {HEADER: _header(names, command)})
    fits = [result.fit for result in results if result.fit is not None]
    together = None if target is None else fit_together(target, fits)
    title = None if target is None else target.name
    return SharedExport(Path(directory), tuple(results), title, together)


def _names(networks: Sequence[Network]) -> list[str]:
    """The networks' names; `UserError` where C or a file system takes two of them for one."""
    names = [check_name(network.name or network.graph.name) for network in networks]
    for i, name in enumerate(names):
        for earlier in names[:i]:
            if name.upper() == earlier.upper():
                same = f"called '{name}'" if name == earlier else f"'{earlier}' and '{name}' in C"
                raise UserError(
                    f"two of the networks are {same}: give --name once for each, in their order"
                )
    return names


def _header(names: Sequence[str], command: str) -> str:
    text: str = (
        environment()
        .get_template(f"{HEADER}.j2")
        .render(version=edgecnn.__version__, command=comment_text(command, 400), names=names)
    )
    return text
