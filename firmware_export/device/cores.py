"""The cores that code is generated for: how compilers and the emulator call them."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import UserError


@dataclass(frozen=True)
class Core:
    """A Cortex-M core.

    ``emulated_as`` is Unicorn's model: the Cortex-M0 has the instruction set of the M0+.
    ``needs_alignment`` says that an unaligned access of any instruction is a fault (Armv6-M);
    ``has_dsp`` that it has the DSP extension, as the M33 of every common part does.
    """

    name: str
    title: str
    emulated_as: str
    needs_alignment: bool = False
    has_dsp: bool = False

    @property
    def clang_cpu(self) -> str:
        """What the Clang of the ziglang package calls the core; its M33 has no DSP by itself."""
        name = self.name.replace("-", "_")
        return f"{name}+dsp" if name == "cortex_m33" else name


CORES = {
    core.name: core
    for core in (
        Core("cortex-m0plus", "Cortex-M0+", "CORTEX_M0", needs_alignment=True),
        Core("cortex-m3", "Cortex-M3", "CORTEX_M3"),
        Core("cortex-m4", "Cortex-M4", "CORTEX_M4", has_dsp=True),
        Core("cortex-m7", "Cortex-M7", "CORTEX_M7", has_dsp=True),
        Core("cortex-m33", "Cortex-M33", "CORTEX_M33", has_dsp=True),
    )
}


def core(name: str) -> Core:
    """The core of a name such as ``cortex-m4``; `UserError` for others."""
    if name not in CORES:
        raise UserError(f"core '{name}' is unknown; there are {', '.join(CORES)}")
    return CORES[name]
