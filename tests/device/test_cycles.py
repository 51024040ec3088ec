"""Cycles against numbers worked out by hand from the cores' tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecnn.errors import UserError
from firmware_export.device.cores import core
from firmware_export.device.cycles import MODELS, CycleModel, CycleTable
from firmware_export.device.profile import FunctionProfile, profile_function
from firmware_export.device.target import choose
from firmware_export.toolchain import compile_c, cortex_m_clang
from tests.command_line import succeeds

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4")


def assembled(body: str, folder: Path, cpu: str, function: str = "loop") -> Path:
    """An ELF file with one function in assembly, linked to address 0."""
    source = f"""
    .syntax unified
    .thumb
    .global {function}
    .type {function}, %function
    .thumb_func
{function}:
{body}
    .size {function}, . - {function}
"""
    (folder / "loop.s").write_text(source)
    (folder / "loop.ld").write_text("SECTIONS { .text 0x100 : { *(.text*) } }\n")
    compiler = cortex_m_clang(core(cpu))
    assert compiler is not None
    arguments = [
        "-nostdlib", "-static", "-Wl,-T,loop.ld", f"-Wl,-e,{function}", f"-Wl,-u,{function}",
        "loop.s", "-o", "loop.elf",
    ]  # fmt: skip
    compile_c(compiler, arguments, folder)
    return folder / "loop.elf"


def counted(body: str, folder: Path, cpu: str) -> FunctionProfile:
    return profile_function(assembled(body, folder, cpu), "loop", choose(cpu, None))


#: Sum of 10 + 9 + … + 1: 2 moves, 10 rounds of 3 instructions, a return. The branch is taken nine
#: times. The jumps to the function and back are the caller's.
LOOP = """
    movs r0, #0
    movs r1, #10
1:  adds r0, r0, r1
    subs r1, #1
    bne 1b
    bx lr
"""


@pytest.mark.parametrize(
    ("cpu", "refill"), [("cortex-m0plus", 1), ("cortex-m3", 2), ("cortex-m4", 2)]
)
def test_a_loop_counted_by_hand(cpu: str, refill: int, tmp_path: Path) -> None:
    found = counted(LOOP, tmp_path, cpu)
    assert found.result == 55
    assert found.count.instructions == 2 + 10 * 3 + 1
    assert found.count.cycles == 2 + 10 * 3 + 9 * refill + 1
    assert (found.count.flash_reads, found.count.ram_reads, found.count.ram_writes) == (0, 0, 0)


#: What each sequence takes on M0+, M3 and M4, apart from the final bx (1).
SEQUENCES = {
    "stores and loads on the stack": (
        "sub sp, #8\n str r0, [sp]\n ldr r1, [sp]\n add sp, #8\n",
        (1 + 2 + 2 + 1, 1 + 1 + 1 + 1, 1 + 1 + 1 + 1),  # M3 and M4: the load behind the store is 1
    ),
    "a load behind other work": (
        "sub sp, #8\n ldr r1, [sp]\n add sp, #8\n",
        (1 + 2 + 1, 1 + 2 + 1, 1 + 2 + 1),
    ),
    "loads in a row": (
        "sub sp, #16\n ldr r1, [sp]\n ldr r2, [sp, #4]\n ldr r3, [sp, #8]\n add sp, #16\n",
        (1 + 3 * 2 + 1, 1 + 2 + 1 + 1 + 1, 1 + 2 + 1 + 1 + 1),
    ),
    "push and pop": (
        "push {r4, r5, r6}\n pop {r4, r5, r6}\n",
        (4 + 4, 4 + 4, 4 + 4),
    ),
    "multiplication": ("movs r1, #3\n muls r1, r0, r1\n", (2, 2, 2)),
    "a call and a return": (
        "mov r3, lr\n bl 2f\n mov lr, r3\n b 3f\n2: bx lr\n3: nop\n",
        # mov, bl, bx, mov, b, nop, and three refills; bl takes 2 before its refill on the M0+
        (1 + 2 + 1 + 1 + 1 + 1 + 3 * 1, 6 + 3 * 2, 6 + 3 * 2),
    ),
}

#: The same for what the M0+ does not have: M3 and M4.
LARGER = {
    "multiply and add": ("mla r1, r0, r0, r0\n", (2, 1)),
    "long multiplication": ("smull r1, r2, r0, r0\n", (5, 1)),
    "long multiplication and addition": ("movs r1, #0\n smlal r1, r2, r0, r0\n", (1 + 7, 1 + 1)),
    "division": ("movs r1, #3\n sdiv r1, r0, r1\n", (1 + 8, 1 + 8)),
    "two words at once": (
        "sub sp, #8\n strd r0, r1, [sp]\n ldrd r0, r1, [sp]\n add sp, #8\n",
        (1 + 3 + 3 + 1, 1 + 3 + 3 + 1),
    ),
    "a condition": ("cmp r0, #0\n it eq\n moveq r1, #1\n", (3, 3)),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, tmp_path: Path) -> None:
    body, cycles = SEQUENCES[name]
    found = [counted(body + "bx lr\n", tmp_path, cpu).count.cycles for cpu in CORES]
    assert found == [n + 1 for n in cycles]


@pytest.mark.parametrize("name", LARGER)
def test_sequences_of_larger_cores(name: str, tmp_path: Path) -> None:
    body, cycles = LARGER[name]
    found = [counted(body + "bx lr\n", tmp_path, cpu).count.cycles for cpu in CORES[1:]]
    assert found == [n + 1 for n in cycles]


def test_traffic_in_bytes(tmp_path: Path) -> None:
    body = "sub sp, #8\n str r0, [sp]\n strb r0, [sp, #4]\n ldrh r1, [sp]\n adr r2, 1f\n"
    body += " ldr r0, [r2]\n add sp, #8\n bx lr\n .balign 4\n1: .word 42\n"
    found = counted(body, tmp_path, "cortex-m4")
    assert found.result == 42
    assert (found.count.flash_reads, found.count.ram_reads, found.count.ram_writes) == (4, 2, 5)
    assert found.stack_bytes == 8


def test_the_command(tmp_path: Path) -> None:
    path = assembled(LOOP, tmp_path, "cortex-m4")
    command = ("profile", "--elf", path, "--function", "loop", "--board", "frdm-k64f")
    found = succeeds(*command, "--json").json
    assert found == profile_function(path, "loop", choose(None, "frdm-k64f")).to_json()
    assert (found["result"], found["instructions"], found["cycles"]) == (55, 33, 51)
    assert found["milliseconds"]["fastest"] == pytest.approx(51 / 120_000)
    text = succeeds(*command).out
    assert "loop on cortex-m4" in text
    assert "120 MHz" in text
    rows = dict(re.findall(r"(cycles|instructions|result)\D+(\d+)", text))
    assert rows == {"cycles": "51", "instructions": "33", "result": "55"}


def test_estimates_are_shares_of_the_m4() -> None:
    for name, model in MODELS.items():
        assert model.is_estimate == (name in ("cortex-m7", "cortex-m33"))
    table = CycleTable(load=2, load_after_access=1, store=1, refill=2)
    assert [CycleModel(table, 60).cycles(n) for n in (0, 1, 2, 5, 1000)] == [0, 1, 1, 3, 600]


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    path = assembled(LOOP, tmp_path, "cortex-m4")
    with pytest.raises(UserError, match="no symbol 'other'"):
        profile_function(path, "other", choose("cortex-m4", None))


def test_a_program_for_other_memory(tmp_path: Path) -> None:
    path = assembled(LOOP, tmp_path, "cortex-m4")
    with pytest.raises(UserError, match="has no memory: name the board"):
        profile_function(path, "loop", choose(None, "raspberry-pi-pico"))


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x01\x01\x01" + bytes(60), b"text"])
def test_no_elf_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(content)
    with pytest.raises(UserError, match="ELF"):
        profile_function(tmp_path / "x.elf", "loop", choose("cortex-m4", None))
