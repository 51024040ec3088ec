"""Libraries of compiled C: kept by content, and never trusted when they are not whole or ours."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import GeneratedCodeError
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export import host_library as library
from firmware_export.scratch import compiled
from tests.command_line import small_int8


def answering(value: int) -> dict[str, bytes]:
    """Sources whose function gives a number."""
    return {
        "host.c": b'#include "value.h"\nint answer(void) { return VALUE; }\n',
        "value.h": f"#define VALUE {value}\n".encode(),
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "host-c"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is compiled from now on."""
    found: list[str] = []

    def counted(*arguments: object) -> None:
        found.append(str(arguments))
        original(*arguments)  # type: ignore[arg-type]

    original = library.compile_c
    monkeypatch.setattr(library, "compile_c", counted)
    return found


def test_the_same_c_is_compiled_once(cache: Path, compilations: list[str]) -> None:
    assert library.load(answering(7), kept=True).answer() == 7
    assert library.load(answering(7), kept=True).answer() == 7
    assert len(compilations) == 1
    assert library.load(answering(8), kept=True).answer() == 8
    assert len(compilations) == len(list(cache.iterdir())) == 2


def test_what_is_not_to_be_kept_is_not(cache: Path) -> None:
    assert library.load(answering(7), kept=False).answer() == 7
    assert not cache.exists()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
    "of another": lambda path: path.write_bytes(b"\x7fELF"),
    "writable for all": lambda path: path.chmod(0o666),
    "in a folder for all": lambda path: path.parent.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_or_not_ours_is_compiled_anew(
    damage: str, cache: Path, compilations: list[str]
) -> None:
    library.load(answering(9), kept=True)
    (entry,) = cache.iterdir()
    DAMAGES[damage](entry)
    assert library.load(answering(9), kept=True).answer() == 9
    assert len(compilations) == 2


def test_another_processor_or_compiler_has_libraries_of_its_own(
    cache: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.load(answering(1), kept=True)
    monkeypatch.setattr(library, "_processor", lambda: ("another",))
    library.load(answering(1), kept=True)
    monkeypatch.setattr(library, "compiler_version", lambda compiler: "newer")
    library.load(answering(1), kept=True)
    assert len(compilations) == len(list(cache.iterdir())) == 3


def test_those_used_last_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "KEPT", 2)
    for value in (1, 2):
        library.load(answering(value), kept=True)
    for path in cache.iterdir():
        os.utime(path, (0, 0))
    for value in (1, 3):
        library.load(answering(value), kept=True)
    names = {path.name.partition("-")[0] for path in cache.iterdir()}
    flags = (*library.FLAGS, library.native_flag(library.host_compiler()))
    keys = {library._key(answering(v), library.host_compiler(), flags) for v in (1, 3)}
    assert names == keys


def test_c_that_calls_what_is_nowhere_is_refused_and_not_kept(cache: Path) -> None:
    broken = {"host.c": b"int gone(void);\nint answer(void) { return gone(); }\n"}
    with pytest.raises(GeneratedCodeError, match="gone"):
        library.load(broken, kept=True)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file"))
    assert library.load(answering(5), kept=True).answer() == 5


def _answer(value: int) -> int:
    return int(library.load(answering(value), kept=True).answer())


def test_processes_share_the_cache(cache: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        assert list(pool.map(_answer, [3] * 8)) == [3] * 8
    assert not [path for path in cache.iterdir() if not path.name.endswith(".so")]


def test_a_session_computes_the_same_after_pickling(cache: Path, compilations: list[str]) -> None:
    graph = small_int8()
    feeds = random_feeds(graph, 5, 0)
    with compiled(graph) as session:
        data = pickle.dumps(session)
        again = pickle.loads(data)
    expected = run_int(graph, feeds)
    for found in (session.run(feeds), again.run(feeds)):
        np.testing.assert_array_equal(found[graph.outputs[0]], expected[graph.outputs[0]])
    assert len(compilations) == 1
