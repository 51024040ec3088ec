"""The C functions of networks whose input comes in rows."""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.ir import Array, Graph
from firmware_export.c_writer import to_c
from firmware_export.memory.plan import ALIGNMENT
from firmware_export.toolchain import compile_c, host_compiler
from tests.ops.case_table import PROVENANCE
from tests.streaming.networks import M4, expected, residual_network, stream_of

ROWS, GUARD = 12, 64
SAMPLES = 4
CONSTANTS = ("ARENA_SIZE", "INPUT_ROWS", "INPUT_ROW_SIZE", "ERROR_NULL_ARENA")
CONSTANTS += ("ERROR_MISALIGNED_ARENA", "ERROR_NULL_ROWS", "ERROR_TOO_MANY_ROWS")
CONSTANTS += ("ERROR_ROWS_MISSING",)


def fed_network(name: str, seed: int = 0) -> tuple[Graph, dict[str, str]]:
    """A network whose first layers take their input in rows, and its files."""
    graph = residual_network(seed).replace(name=name)
    stream = stream_of(graph, 5, 2, core=M4, fed=True, joined=True)
    return graph, dict(to_c(graph, name, PROVENANCE, stream=stream).files)


def compiled(directory: Path, *networks: tuple[Graph, dict[str, str]]) -> Any:
    """Networks as a shared library, with a function for each constant of their headers."""
    sources = []
    for graph, files in networks:
        name = graph.name
        for file, text in files.items():
            (directory / file).write_text(text)
        lines = [f'#include "{name}.h"']
        lines += [f"int {name}_{c}(void) {{ return (int){name.upper()}_{c}; }}" for c in CONSTANTS]
        (directory / f"{name}_constants.c").write_text("\n".join(lines) + "\n")
        sources += [f"{name}.c", f"{name}_weights.c", f"{name}_constants.c"]
    flags = ["-std=c99", "-O2", "-fPIC", "-shared"]
    compile_c(host_compiler(), [*flags, *sources, "-o", "fed.so"], directory)
    return ctypes.CDLL(str(directory / "fed.so"))


class Api:
    """The functions of one network of a library, by their names without its own."""

    def __init__(self, library: Any, name: str) -> None:
        pointer = ctypes.c_void_p
        self.restart = getattr(library, f"{name}_restart")
        self.restart.argtypes, self.restart.restype = [pointer], None
        self.run = getattr(library, f"{name}_run")
        self.run.argtypes = [pointer]
        self.output = getattr(library, f"{name}_output")
        self.output.argtypes, self.output.restype = [pointer], pointer
        self.feed_rows = getattr(library, f"{name}_feed_rows")
        self.feed_rows.argtypes = [pointer, pointer, ctypes.c_uint32]
        self.constant = {c: int(getattr(library, f"{name}_{c}")()) for c in CONSTANTS}


class Arena:
    """Memory of one network, full of some byte, with guards around it."""

    def __init__(self, api: Api, fill: int = 0) -> None:
        self.api = api
        size = api.constant["ARENA_SIZE"]
        self.memory = np.full(size + 2 * GUARD + ALIGNMENT, 0x5A, np.uint8)
        self.address = self.memory.ctypes.data + GUARD
        self.address += -self.address % ALIGNMENT
        start = self.address - self.memory.ctypes.data
        self.bytes = self.memory[start : start + size]
        self.bytes[:] = fill

    def feed(self, rows: Array | None, count: int | None = None) -> int:
        """Rows (n, width, channels), all of them or as many as is said."""
        size = len(rows) if count is None and rows is not None else count or 0
        data = None if rows is None else np.ascontiguousarray(rows)
        address = None if data is None else data.ctypes.data
        return int(self.api.feed_rows(self.address, address, size))

    def feed_all(self, rows: Array, parts: Iterable[int]) -> None:
        at = 0
        for count in parts:
            assert self.feed(rows[at : at + count]) == 0
            at += count

    @property
    def result(self) -> bytes:
        """The output, which must be there."""
        assert self.api.run(self.address) == 0
        return ctypes.string_at(self.api.output(self.address), 8)

    def check_guards(self) -> None:
        start = self.address + -self.memory.ctypes.data
        assert np.all(self.memory[:start] == 0x5A)
        assert np.all(self.memory[start + len(self.bytes) :] == 0x5A)


@dataclass(frozen=True)
class Fed:
    """A network, pictures (samples, rows, width, channels) for it, and their outputs."""

    api: Api
    pictures: Array
    outputs: list[bytes]


def case(library: Any, graph: Graph) -> Fed:
    feeds, values = expected(graph, SAMPLES, 7)
    outputs = [bytes(y) for y in values[graph.outputs[0]].astype(np.int8)]
    assert len(set(outputs)) == len(outputs)
    return Fed(Api(library, graph.name), feeds[graph.inputs[0]][:, 0], outputs)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fed, Fed]:
    """Two networks in one library that differ in their constants only."""
    networks = [fed_network("first"), fed_network("second", 1)]
    library = compiled(tmp_path_factory.mktemp("fed"), *networks)
    first, second = (case(library, graph) for graph, _ in networks)
    return first, second


@pytest.fixture(scope="module")
def fed(both: tuple[Fed, Fed]) -> Fed:
    return both[0]


def split(seed: int) -> list[int]:
    """Parts of a picture's rows, some of them empty."""
    rng, parts = random.Random(seed), []
    while sum(parts) < ROWS:
        parts.append(rng.randint(0, ROWS - sum(parts)))
    return parts


def test_constants(fed: Fed) -> None:
    constant = fed.api.constant
    assert constant["INPUT_ROWS"] == ROWS == fed.pictures.shape[1]
    assert constant["INPUT_ROW_SIZE"] == fed.pictures[0, 0].size
    codes = [value for name, value in constant.items() if name.startswith("ERROR")]
    assert codes == [-1, -2, -3, -4, -5]


@pytest.mark.parametrize("parts", [[ROWS], [1] * ROWS, [5, 7], [11, 1], [1, 11], [0, 6, 0, 6, 0]])
def test_splits(parts: Sequence[int], fed: Fed) -> None:
    arena = Arena(fed.api)
    for picture, output in zip(fed.pictures, fed.outputs, strict=True):
        arena.feed_all(picture, parts)
        assert arena.result == output
    arena.check_guards()


def test_random_splits(fed: Fed) -> None:
    arena = Arena(fed.api)
    for seed in range(300):
        which = seed % len(fed.outputs)
        arena.feed_all(fed.pictures[which], split(seed))
        assert arena.result == fed.outputs[which]
    arena.check_guards()


def test_rows_at_any_address(fed: Fed) -> None:
    arena = Arena(fed.api)
    for shift in range(1, 9):
        data = np.zeros(fed.pictures[-1].size + 16, np.int8)
        rows = data[shift : shift + fed.pictures[-1].size]
        rows[:] = fed.pictures[-1].reshape(-1)
        assert fed.api.feed_rows(arena.address, rows.ctypes.data, ROWS) == 0
        assert arena.result == fed.outputs[-1]


def test_rows_are_only_read(fed: Fed) -> None:
    picture = fed.pictures[-1].copy()
    Arena(fed.api).feed(picture)
    np.testing.assert_array_equal(picture, fed.pictures[-1])


@pytest.mark.parametrize("fill", [0x00, 0x5A, 0x80, 0xFF])
def test_what_the_arena_held_does_not_matter(fill: int, fed: Fed) -> None:
    arena = Arena(fed.api, fill)
    assert fed.api.run(arena.address) == fed.api.constant["ERROR_ROWS_MISSING"]
    arena.feed_all(fed.pictures[-1], split(fill))
    assert arena.result == fed.outputs[-1]


def test_random_bytes_in_the_arena(fed: Fed) -> None:
    rng = np.random.default_rng(0)
    for number in range(100):
        arena = Arena(fed.api)
        arena.bytes[:] = rng.integers(0, 256, len(arena.bytes), np.uint8)
        if number % 2:
            fed.api.restart(arena.address)
        arena.feed_all(fed.pictures[-1], split(number))
        assert arena.result == fed.outputs[-1]


def test_the_arena_may_be_used_between_pictures(fed: Fed) -> None:
    arena = Arena(fed.api)
    for picture, output in zip(fed.pictures, fed.outputs, strict=True):
        arena.feed_all(picture, split(3))
        assert arena.result == output
        arena.bytes[:] = np.arange(len(arena.bytes)) % 251


def test_another_network_may_use_the_arena_between_pictures(both: tuple[Fed, Fed]) -> None:
    """Even one that stopped in the middle of a picture, with its state in the same place."""
    size = max(one.api.constant["ARENA_SIZE"] for one in both)
    for left in range(1, ROWS + 1):
        for one, other in (both, both[::-1]):
            arena = Arena(one.api)
            memory = np.zeros(size + ALIGNMENT, np.uint8)
            arena.address = memory.ctypes.data + -memory.ctypes.data % ALIGNMENT
            assert arena.feed(one.pictures[0][:left]) == 0
            arena.api = other.api
            arena.feed_all(other.pictures[-1], [ROWS])
            assert arena.result == other.outputs[-1]


def test_restart_in_the_middle(fed: Fed) -> None:
    arena = Arena(fed.api)
    for rows in range(ROWS + 1):
        assert arena.feed(fed.pictures[3][:rows]) == 0
        fed.api.restart(arena.address)
        assert fed.api.run(arena.address) == fed.api.constant["ERROR_ROWS_MISSING"]
        arena.feed_all(fed.pictures[4], split(rows))
        assert arena.result == fed.outputs[4]


def test_restart_of_nothing(fed: Fed) -> None:
    fed.api.restart(None)


def test_rows_are_missing_until_the_last(fed: Fed) -> None:
    arena = Arena(fed.api)
    for row in fed.pictures[-1]:
        assert fed.api.run(arena.address) == fed.api.constant["ERROR_ROWS_MISSING"]
        assert arena.feed(row[None]) == 0
    assert arena.result == fed.outputs[-1]
    assert arena.feed(fed.pictures[0][:1]) == 0
    assert fed.api.run(arena.address) == fed.api.constant["ERROR_ROWS_MISSING"]


def test_no_rows_are_no_change(fed: Fed) -> None:
    arena = Arena(fed.api)
    for row in fed.pictures[-1]:
        assert arena.feed(None, 0) == 0
        assert arena.feed(row[None]) == 0
    before = arena.bytes.copy()
    assert arena.feed(None, 0) == 0
    np.testing.assert_array_equal(arena.bytes, before)
    assert arena.result == fed.outputs[-1]


@pytest.mark.parametrize("come", [0, 1, 5, ROWS - 1, ROWS])
def test_refused_rows_are_not_taken(come: int, fed: Fed) -> None:
    """The picture goes on as if nothing had happened; or its output is still there."""
    api, arena = fed.api, Arena(fed.api)
    picture = fed.pictures[-1]
    assert arena.feed(picture[:come]) == 0
    before = arena.bytes.copy()
    left = ROWS - come or ROWS
    larger = np.zeros((left + 1, *picture.shape[1:]), np.int8)
    assert arena.feed(larger) == api.constant["ERROR_TOO_MANY_ROWS"]
    assert arena.feed(larger, 2**32 - 1) == api.constant["ERROR_TOO_MANY_ROWS"]
    assert arena.feed(None, 1) == api.constant["ERROR_NULL_ROWS"]
    for offset in range(1, ALIGNMENT):
        at = arena.address + offset
        misaligned = api.constant["ERROR_MISALIGNED_ARENA"]
        assert api.feed_rows(at, larger.ctypes.data, 1) == misaligned
        assert api.run(at) == misaligned
    assert api.feed_rows(None, larger.ctypes.data, 1) == api.constant["ERROR_NULL_ARENA"]
    assert api.run(None) == api.constant["ERROR_NULL_ARENA"]
    np.testing.assert_array_equal(arena.bytes, before)
    arena.check_guards()
    if come < ROWS:
        assert arena.feed(picture[come:]) == 0
    assert arena.result == fed.outputs[-1]


def test_two_arenas_in_turn(fed: Fed) -> None:
    arenas = [Arena(fed.api), Arena(fed.api, 0xFF)]
    for row in range(ROWS):
        for which, arena in enumerate(arenas):
            assert arena.feed(fed.pictures[3 + which][row : row + 1]) == 0
    assert [arena.result for arena in arenas] == fed.outputs[3:5]


def test_two_arenas_in_two_threads(fed: Fed) -> None:
    results: dict[int, list[bytes]] = {}

    def work(thread: int) -> None:
        arena, found = Arena(fed.api), []
        for number in range(200):
            arena.feed_all(fed.pictures[(number + thread) % len(fed.outputs)], split(number))
            found.append(arena.result)
        results[thread] = found

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for thread, found in results.items():
        count = len(fed.outputs)
        assert found == [fed.outputs[(n + thread) % count] for n in range(200)]
    assert len(results) == 2
