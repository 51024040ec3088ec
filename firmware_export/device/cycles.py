"""What instructions cost: the cores' published tables at zero wait states, as data.

Sources: Arm Cortex-M0+ Technical Reference Manual (DDI 0484C, 3.3), Cortex-M3 (DDI 0337I, 3.3.1)
and Cortex-M4 (DDI 0439D, 3.3.1). Where a manual gives a range, `CycleTable` says what is taken.
The Cortex-M7 and M33 have no published table: their figures are estimates.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LOADS = frozenset(["ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrex", "ldrexb", "ldrexh", "vldr"])
_STORES = frozenset(["str", "strb", "strh", "strex", "strexb", "strexh", "vstr"])
_DOUBLES = frozenset(["ldrd", "strd"])
_STACK = frozenset(["push", "pop", "vpush", "vpop"])
_MULTIPLES = _STACK | {"ldm", "ldmdb", "stm", "stmdb", "vldmia", "vldmdb", "vstmia", "vstmdb"}
_CLASSES = {
    **dict.fromkeys(("mla", "mls"), "multiply_add"),
    **dict.fromkeys(("smull", "umull"), "long_multiply"),
    **dict.fromkeys(("smlal", "umlal", "umaal"), "long_multiply_add"),
    **dict.fromkeys(("sdiv", "udiv"), "divide"),
    **dict.fromkeys(("bl", "blx"), "call"),
    **dict.fromkeys(("tbb", "tbh"), "table_branch"),
    **dict.fromkeys(("vdiv", "vsqrt"), "float_divide"),
    **dict.fromkeys(("dmb", "dsb", "isb", "mrs", "msr"), "system"),
}


@dataclass(frozen=True)
class CycleTable:
    """Cycles by kind of instruction; all others take 1.

    ``refill`` comes on top wherever a jump is taken. A multiple transfer takes 1 and 1 for each
    register. ``load_after_access`` is a single load right behind another single load or store,
    whose address and data phases overlap.
    """

    load: int
    load_after_access: int
    store: int
    refill: int
    double: int = 3
    multiply_add: int = 1
    long_multiply: int = 1
    long_multiply_add: int = 1
    divide: int = 8  # of 2 to 12
    call: int = 1
    table_branch: int = 2
    pop_pc: int = 0  # more than a pop of other registers and the refill
    system: int = 1
    float_divide: int = 14


#: The refill takes 1 to 3 cycles on M3 and M4. Long multiplications of the M3 end early for small
#: values; multipliers of a requantization are large, so the longest time is taken.
_M4 = CycleTable(load=2, load_after_access=1, store=1, refill=2)
_M3 = CycleTable(
    load=2, load_after_access=1, store=1, refill=2,
    multiply_add=2, long_multiply=5, long_multiply_add=7,
)  # fmt: skip
_M0PLUS = CycleTable(
    load=2, load_after_access=2, store=2, refill=1, call=2, pop_pc=1, system=3
)  # fmt: skip


@dataclass(frozen=True)
class CycleModel:
    """A table, and for cores without one the share of its cycles that they are estimated to take.

    ``percent`` of the Cortex-M4's: what the best results of MLPerf Tiny v1.0's closed division
    took on boards with these cores, beside the best on an M4 (0.55 to 0.62 and 0.79 to 1.02).
    """

    table: CycleTable
    percent: int = 100

    @property
    def is_estimate(self) -> bool:
        """Whether there is no published table of the core."""
        return self.percent != 100

    def cycles(self, counted: int) -> int:
        """The core's cycles for those of the table, rounded to the nearest."""
        return (counted * self.percent + 50) // 100


MODELS = {
    "cortex-m0plus": CycleModel(_M0PLUS),
    "cortex-m3": CycleModel(_M3),
    "cortex-m4": CycleModel(_M4),
    "cortex-m7": CycleModel(_M4, percent=60),
    "cortex-m33": CycleModel(_M4, percent=90),
}


@dataclass(frozen=True)
class BlockCost:
    """Instructions and cycles of a basic block that is run once, refills apart."""

    instructions: int
    cycles: int


@functools.cache
def _disassembler() -> Any:
    import capstone

    found = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    found.detail = True
    return found


def block_cost(code: bytes, address: int, table: CycleTable) -> BlockCost:
    """Price the Thumb instructions ``code`` of a basic block at ``address``."""
    instructions = list(_disassembler().disasm(code, address))
    return BlockCost(len(instructions), sum(_costs(instructions, table)))


def _costs(instructions: Iterable[Any], table: CycleTable) -> Iterable[int]:
    after_access = False
    for instruction in instructions:
        name = instruction.insn_name()
        is_load = name in _LOADS
        if is_load:
            yield table.load_after_access if after_access else table.load
        elif name in _STORES:
            yield table.store
        elif name in _DOUBLES:
            yield table.double
        elif name in _MULTIPLES:
            yield _multiple(instruction, name, table)
        else:
            yield getattr(table, _CLASSES[name]) if name in _CLASSES else 1
        after_access = is_load or name in _STORES


def _multiple(instruction: Any, name: str, table: CycleTable) -> int:
    """1 and 1 for each register; LDM, STM and their kin also name the address register."""
    from capstone import arm

    registers = [o.reg for o in instruction.operands if o.type == arm.ARM_OP_REG]
    if name not in _STACK:
        registers = registers[1:]
    words = sum(2 if arm.ARM_REG_D0 <= r <= arm.ARM_REG_D31 else 1 for r in registers)
    return 1 + words + (table.pop_pc if arm.ARM_REG_PC in registers else 0)
