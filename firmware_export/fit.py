"""Whether a generated network fits boards: arena and stack in RAM, weights and code in flash."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firmware_export.boards import Board, Fit, all_boards, fit
from firmware_export.c_writer import CNetwork
from firmware_export.code_size import code_size


def board_fits(
    directory: Path, name: str, network: CNetwork, boards: Iterable[Board] | None = None
) -> dict[str, Fit]:
    """The fit of a network called ``name`` on some boards, or on all that are known.

    ``directory`` holds its generated files, which are compiled once for each core that occurs.
    """
    chosen = list(all_boards().values() if boards is None else boards)
    cores = {board.core for board in chosen}
    code = {core: code_size(directory, name, network, core).bytes for core in cores}
    return {
        board.name: fit(
            board,
            flash_bytes=network.weight_bytes + code[board.core],
            ram_bytes=network.plan.arena_bytes,
        )
        for board in chosen
    }
