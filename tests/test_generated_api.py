"""The functions of the generated C at run time: it stays in its arena, and has no state."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.memory.plan import ALIGNMENT
from tests.generated_networks import chain
from tests.ops.case_table import write_c


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The chain as a shared library."""
    from firmware_export.toolchain import compile_c, host_compiler

    directory = tmp_path_factory.mktemp("chain")
    write_c(chain(), directory)
    (directory / "size.c").write_text(
        '#include "chain.h"\nint arena_size(void) { return (int)CHAIN_ARENA_SIZE; }\n'
        "int null_arena(void) { return CHAIN_ERROR_NULL_ARENA; }\n"
        "int misaligned_arena(void) { return CHAIN_ERROR_MISALIGNED_ARENA; }\n"
    )
    sources = ["chain.c", "chain_weights.c", "size.c"]
    compile_c(host_compiler(), ["-O2", "-fPIC", "-shared", *sources, "-o", "chain.so"], directory)
    loaded = ctypes.CDLL(str(directory / "chain.so"))
    loaded.chain_run.argtypes = [ctypes.c_void_p]
    for port in (loaded.chain_input, loaded.chain_output):
        port.argtypes, port.restype = [ctypes.c_void_p], ctypes.c_void_p
    return loaded


GUARD = 64


def guarded_arena(library: Any) -> tuple[Array, int]:
    """Memory full of 0x5A, and the address of an arena in it."""
    memory = np.full(library.arena_size() + 2 * GUARD + ALIGNMENT, 0x5A, np.uint8)
    return memory, memory.ctypes.data + GUARD + -(memory.ctypes.data + GUARD) % ALIGNMENT


def run_once(library: Any, address: int, x: Array) -> bytes:
    ctypes.memmove(library.chain_input(address), x.tobytes(), x.size)
    assert library.chain_run(address) == 0
    return ctypes.string_at(library.chain_output(address), 5)


def test_refuses_a_null_arena(library: Any) -> None:
    assert library.chain_run(None) == library.null_arena() < 0


@pytest.mark.parametrize("offset", range(1, ALIGNMENT))
def test_refuses_a_misaligned_arena(library: Any, offset: int) -> None:
    memory, address = guarded_arena(library)
    assert library.chain_run(address + offset) == library.misaligned_arena() < 0
    assert np.all(memory == 0x5A)


def test_writes_only_its_arena(library: Any) -> None:
    memory, address = guarded_arena(library)
    start = address - memory.ctypes.data
    for x in random_feeds(chain(), 10, 4)["x"]:
        run_once(library, address, x)
    assert np.all(memory[:start] == 0x5A)
    assert np.all(memory[start + library.arena_size() :] == 0x5A)


def test_what_the_arena_held_does_not_matter(library: Any) -> None:
    x = random_feeds(chain(), 1, 5)["x"][-1]
    results = set()
    for fill in (0x00, 0x5A, 0xFF):
        memory, address = guarded_arena(library)
        memory[:] = fill
        results.add(run_once(library, address, x))
    assert len(results) == 1


def test_two_arenas_in_two_threads(library: Any) -> None:
    samples = random_feeds(chain(), 200, 6)["x"]
    expected = [
        bytes(y) for y in run_int(chain(), {"x": samples})[chain().outputs[0]].astype(np.int8)
    ]
    results: dict[int, list[bytes]] = {}

    def work(thread: int, order: Sequence[int]) -> None:
        _, address = memory = guarded_arena(library)
        results[thread] = [run_once(library, address, samples[i]) for i in order]
        del memory

    forwards = list(range(len(samples)))
    orders = [forwards, forwards[::-1]]
    threads = [threading.Thread(target=work, args=(i, order)) for i, order in enumerate(orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == expected
    assert results[1] == expected[::-1]
