"""What a program is built for: a core, and the memory and clock of a board where one is named."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import UserError
from firmware_export import boards
from firmware_export.boards import Board
from firmware_export.device.cores import CORES, Core
from firmware_export.device.cores import core as core_of
from firmware_export.device.memory import ROOMY, Memory, memory_of

#: The core that is looked at where neither a core nor a board is named.
DEFAULT_CORE = "cortex-m4"


@dataclass(frozen=True)
class Target:
    """A core, perhaps on a board."""

    core: Core
    board: Board | None = None

    @property
    def memory(self) -> Memory:
        """The board's memory, else more than enough."""
        return ROOMY if self.board is None else memory_of(self.board)


def choose(cpu: str | None, board: str | None) -> Target:
    """The target of a core's name, or of a board's name or file; `DEFAULT_CORE` without both.

    Raises `UserError` for names that are none, and for a core that the board does not have.
    """
    if cpu is not None:
        core_of(cpu)
    if board is None:
        return Target(CORES[cpu or DEFAULT_CORE])
    found = boards.load(board)
    if cpu is not None and cpu != found.core:
        raise UserError(f"--cpu is {cpu}, but {found.name} has a {found.core}: leave --cpu out")
    return Target(CORES[found.core], found)
