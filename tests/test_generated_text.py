"""The generated C as text: what it includes, says and calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import UserError
from edgecnn.ir import Graph
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from firmware_export.c_writer import Provenance, check_name, comment_text, to_c
from firmware_export.toolchain import STRICT_FLAGS, zig_compiler
from tests.generated_networks import chain, compile_or_fail, every_case
from tests.ops.case_table import Case, Constant, Value, build, write_c


def texts(graph: Graph) -> dict[str, str]:
    return dict(to_c(graph, graph.name, Provenance("1.2.3", "edgecnn export m", "ab" * 32)).files)


def test_needs_no_header_beyond_stdint_and_stddef() -> None:
    files = texts(chain())
    for text in files.values():
        assert set(re.findall(r"#include <([^>]*)>", text)) <= {"stdint.h", "stddef.h"}
        assert set(re.findall(r'#include "([^"]*)"', text)) <= set(files)


def test_has_no_state_and_no_library_call(tmp_path: Path) -> None:
    """The object files refer to nothing but each other, and hold no writable data."""
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("gcc or nm is not installed")
    write_c(chain(), tmp_path)
    flags = [*STRICT_FLAGS, "-O2", "-ffreestanding", "-fno-pic"]
    compile_or_fail(["gcc", *flags, "-c", "chain.c", "chain_weights.c"], tmp_path)
    listed = subprocess.run(
        ["nm", "chain.o", "chain_weights.o"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    symbols = re.findall(r"^[0-9a-f ]{16} (\w) (\S+)$", listed, re.MULTILINE)
    defined = {name for kind, name in symbols if kind != "U"}
    # Even freestanding compilers may call these two, which every toolchain brings.
    unresolved = {name for kind, name in symbols if kind == "U"} - defined - {"memcpy", "memset"}
    assert unresolved == set()
    assert [name for kind, name in symbols if kind in "dDbBcC"] == []


def test_is_deterministic() -> None:
    assert texts(chain()) == texts(chain())
    assert texts(every_case()) == texts(every_case())


def test_every_file_says_where_it_comes_from() -> None:
    for name, text in texts(chain()).items():
        if not name.startswith("edgecnn_"):
            assert "1.2.3" in text
            assert "edgecnn export m" in text
            assert "ab" * 32 in text


def test_equal_constants_are_written_once() -> None:
    rng = np.random.default_rng(2)
    weights = Constant(rng.integers(-127, 128, (4, 6), dtype=np.int8), (0.01,))
    cases = [
        Case(
            name,
            "fully_connected",
            [Value((1, 6)), weights, None],
            FullyConnectedAttributes(),
            (0.1, 0),
        )
        for name in ("a", "b")
    ]
    assert len(re.findall(r"const int8_t \w+weights\[", texts(build(cases))["net_weights.c"])) == 1


@pytest.mark.parametrize(
    "name", ["", "1st", "a-b", "a b", "edgecnn_x", "x" * 49, "naïve", "a\n", "_x"]
)
def test_refuses_names_that_c_cannot_use(name: str) -> None:
    with pytest.raises(UserError, match="--name"):
        check_name(name)


HOSTILE = (
    "ends */ int evil;",
    "/* opens",
    "back\\slash\\",
    "new\nline",
    "re\rturn",
    'quo"te',
    "tri??/graph",
    "ünïcödé ☃",
    "x" * 5000,
    "%s%n",
    "{{ jinja }}",
    "a//b",
    "tab\tbed",
    "nul\0byte",
    "*" + "/" * 3,
)


def test_hostile_tensor_names_do_no_harm(tmp_path: Path) -> None:
    cases = [Case(name, "relu", [Value((1, 4))]) for name in HOSTILE]
    graph = build(cases)
    write_c(graph, tmp_path)
    compiler = ["gcc"] if shutil.which("gcc") else zig_compiler()
    assert compiler is not None
    compile_or_fail([*compiler, *STRICT_FLAGS, "-Wcomment", "-c", "net.c", "-o", "out.o"], tmp_path)
    assert "evil;" not in re.sub(
        r"/\*.*?\*/", "", (tmp_path / "net.c").read_text(), flags=re.DOTALL
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_comment_text_is_plain_and_short(name: str) -> None:
    text = comment_text(name)
    assert len(text) <= 96
    assert text.isascii()
    assert text.isprintable()
    assert "*/" not in text
    assert "/*" not in text
    assert not text.endswith("\\")
