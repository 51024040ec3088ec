"""The command ``edgecnn profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli_options import BoardOption, Compiler, Json, Quiet
from edgecnn.console import Console
from edgecnn.display import show_function_profile, show_profile
from edgecnn.errors import UserError

if TYPE_CHECKING:
    from firmware_export.device.target import Target


def profile(
    folder: Annotated[Path | None, typer.Argument(help="Exported folder.")] = None,
    cpu: Annotated[
        str | None, typer.Option(help="Core, such as cortex-m4.", show_default="the board's")
    ] = None,
    board: BoardOption = None,
    compiler: Compiler = None,
    elf: Annotated[
        Path | None, typer.Option(help="Profile a function of this ELF file instead.")
    ] = None,
    function: Annotated[str | None, typer.Option(help="The function to call in it.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cycles and instructions per layer on an emulated core, RAM, stack and flash."""
    from firmware_export.device import target

    console = Console(as_json=as_json, quiet=quiet)
    place = target.choose(cpu, board)
    if (folder is None) == (elf is None):
        raise UserError("profile takes either an exported folder or --elf FILE")
    if (elf is None) != (function is None):
        raise UserError("--elf FILE and --function NAME go together")
    if folder is not None:
        _profile_export(console, folder, place, compiler)
    elif compiler is not None:
        raise UserError("--compiler goes with an exported folder; an ELF file is compiled already")
    else:
        assert elf is not None
        assert function is not None
        _profile_function(console, elf, function, place)


def _profile_export(console: Console, folder: Path, place: Target, compiler: str | None) -> None:
    from firmware_export.device.profile import profile_export

    with console.working("running on the emulated core"):
        found = profile_export(folder, place, compiler)
    if not console.json(found.to_json()):
        show_profile(console, found)


def _profile_function(console: Console, elf: Path, function: str, place: Target) -> None:
    from firmware_export.device.profile import profile_function

    with console.working("running on the emulated core"):
        found = profile_function(elf, function, place)
    if not console.json(found.to_json()):
        show_function_profile(console, found)
