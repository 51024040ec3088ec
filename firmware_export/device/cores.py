"""The cores that code is generated for: how compilers and the emulator call them."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import UserError


@dataclass(frozen=True)
class Core:
    """A Cortex-M core.

    ``emulated_as`` is Unicorn's model: the Cortex-M0 has the instruction set of the M0+.
    ``needs_alignment`` says that an unaligned access of any instruction is a fault (Armv6-M).
    """

    name: str
    title: str
    emulated_as: str
    needs_alignment: bool = False

    @property
    def clang_cpu(self) -> str:
        """What the Clang of the ziglang package calls the core."""
        return self.name.replace("-", "_")


CORES = {
    core.name: core
    for core in (
        Core("cortex-m0plus", "Cortex-M0+", "CORTEX_M0", needs_alignment=True),
        Core("cortex-m3", "Cortex-M3", "CORTEX_M3"),
        Core("cortex-m4", "Cortex-M4", "CORTEX_M4"),
        Core("cortex-m7", "Cortex-M7", "CORTEX_M7"),
        Core("cortex-m33", "Cortex-M33", "CORTEX_M33"),
    )
}


def core(name: str) -> Core:
    """The core of a name such as ``cortex-m4``; `UserError` for others."""
    if name not in CORES:
        raise UserError(f"core '{name}' is unknown; there are {', '.join(CORES)}")
    return CORES[name]
