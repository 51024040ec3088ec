"""The code of networks in bands of rows as C: it builds anywhere, and does nothing undefined."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecnn.errors import UserError
from edgecnn.ir import Graph
from firmware_export.c_writer import to_c
from firmware_export.streaming.stream import Stream
from firmware_export.toolchain import STRICT_FLAGS
from tests.generated_networks import compile_or_fail
from tests.ops.case_table import PROVENANCE
from tests.streaming.networks import M4, expected, random_stream, residual_network, stream_of, write
from tests.test_generated_c import (
    EXTRA_WARNINGS,
    SANITIZERS,
    c_and_cpp,
    compilers,
    sanitized_main,
)

each_way = pytest.mark.parametrize("fed", [False, True], ids=["in the arena", "fed"])
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
SOURCES = ("net.c", "net_weights.c")


def network(fed: bool) -> tuple[Graph, Stream]:
    """By fast kernels, and with an elementwise layer in the stage before it."""
    graph = residual_network()
    return graph, stream_of(graph, 5, 2, core=M4, fed=fed, joined=True)


@each_way
@pytest.mark.parametrize("compiler", compilers())
def test_compiles_without_a_warning(compiler: list[str], fed: bool, tmp_path: Path) -> None:
    write(*network(fed), tmp_path)
    for source in SOURCES:
        compile_or_fail([*compiler, *STRICT_FLAGS, "-O2", "-c", source, "-o", "out.o"], tmp_path)


@each_way
@needs_gcc
def test_hides_no_narrowing(fed: bool, tmp_path: Path) -> None:
    write(*network(fed), tmp_path)
    compile_or_fail(["gcc", *STRICT_FLAGS, *EXTRA_WARNINGS, "-c", "net.c", "-o", "out.o"], tmp_path)


@each_way
@needs_gcc
def test_has_no_state_and_no_library_call(fed: bool, tmp_path: Path) -> None:
    write(*network(fed), tmp_path)
    flags = [*STRICT_FLAGS, "-O2", "-ffreestanding", "-fno-pic"]
    compile_or_fail(["gcc", *flags, "-c", *SOURCES], tmp_path)
    command = ["nm", "net.o", "net_weights.o"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    symbols = re.findall(r"^[0-9a-f ]{16} (\w) (\S+)$", listed.stdout, re.MULTILINE)
    defined = {name for kind, name in symbols if kind != "U"}
    needed = {name for kind, name in symbols if kind == "U"}
    assert needed - defined <= {"memcpy", "memset", "memmove"}
    # Tables with addresses in them are constants that the linker fills in.
    assert [name for kind, name in symbols if kind in "DbBcC"] == []
    assert {name for kind, name in symbols if kind == "d"} <= {"net_stages", "net_stream"}


def test_needs_no_header_beyond_stdint_and_stddef() -> None:
    graph, stream = network(True)
    files = to_c(graph, "net", PROVENANCE, stream=stream).files
    for text in files.values():
        assert set(re.findall(r"#include <([^>]*)>", text)) <= {"stdint.h", "stddef.h"}
        assert set(re.findall(r'#include "([^"]*)"', text)) <= set(files)


def test_rows_that_are_fed_are_int8() -> None:
    graph, stream = network(True)
    with pytest.raises(UserError, match="fed in rows takes int8"):
        to_c(graph, "net", PROVENANCE, stream=stream, float_io=True)


@needs_gcc
def test_float_functions_of_a_network_in_bands(tmp_path: Path) -> None:
    graph, stream = network(False)
    for file, text in to_c(graph, "net", PROVENANCE, stream=stream, float_io=True).files.items():
        (tmp_path / file).write_text(text)
    compile_or_fail(["gcc", *STRICT_FLAGS, "-c", "net.c", "-o", "out.o"], tmp_path)


CPP_MAIN = """
#include "net.h"
#include "net.h"
#include "net_weights.h"
alignas(NET_ARENA_ALIGNMENT) static unsigned char arena[NET_ARENA_SIZE];
static const signed char row[NET_INPUT_ROW_SIZE] = {};
int main() {
    const int shape[] = NET_INPUT_SHAPE;
    net_restart(arena);
    for (unsigned i = 0; i < NET_INPUT_ROWS; ++i) {
        if (net_run(arena) != NET_ERROR_ROWS_MISSING || net_feed_rows(arena, row, 1) != 0) {
            return 1;
        }
    }
    const bool fits = shape[1] == NET_INPUT_ROWS && NET_INPUT_ROWS * sizeof row == NET_INPUT_SIZE;
    return net_run(arena) == 0 && fits && NET_INPUT_SCALE > 0.0f ? 0 : 2;
}
"""


def test_header_of_fed_rows_serves_cpp(tmp_path: Path) -> None:
    found = c_and_cpp()
    if found is None:
        pytest.skip("no C++ compiler is installed")
    c, cpp = found
    write(*network(True), tmp_path)
    (tmp_path / "main.cpp").write_text(CPP_MAIN)
    compile_or_fail([*c, "-std=c99", "-c", *SOURCES], tmp_path)
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-sign-compare"]
    objects = ["net.o", "net_weights.o"]
    compile_or_fail([*cpp, *strict, "main.cpp", *objects, "-o", "main"], tmp_path)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


# --- undefined behaviour --------------------------------------------------------------------------

#: Feeds each picture in two calls, out of memory of just that size.
FED_READS = """
        for (unsigned done = 0; done < NET_INPUT_ROWS;) {
            const unsigned half = (NET_INPUT_ROWS + 1u) / 2u, left = NET_INPUT_ROWS - done;
            const unsigned count = half < left ? half : left;
            const unsigned size = count * NET_INPUT_ROW_SIZE;
            signed char *const rows = malloc(size);
            const size_t came = fread(rows, 1, size, stdin);
            const int status = came == size ? net_feed_rows(arena, rows, count) : 1;
            free(rows);
            if (status != 0) { free(arena); return status == 1 ? 0 : 3; }
            done += count;
        }
"""


def main_of(graph: Graph, fed: bool) -> str:
    """A program that reads pictures and writes outputs, until there are no more."""
    text = sanitized_main(graph)
    reads = re.search(r"^ +if \(fread\(net_input.*$", text, re.MULTILINE)
    assert reads is not None
    return text.replace(reads.group(), FED_READS) if fed else text


def check_sanitized(graph: Graph, stream: Stream, directory: Path) -> None:
    """Under gcc's sanitizers the bytes are right and nothing is reported."""
    write(graph, stream, directory)
    (directory / "main.c").write_text(main_of(graph, stream.is_fed))
    flags = ["-std=gnu11", "-O1", "-g", SANITIZERS, "-fno-sanitize-recover=all"]
    compile_or_fail(["gcc", *flags, "main.c", *SOURCES, "-o", "main"], directory)
    feeds, values = expected(graph, 3, 0)
    samples = feeds[graph.inputs[0]]
    result = subprocess.run(
        [directory / "main"], input=samples.tobytes(), capture_output=True, check=False
    )
    assert result.stderr.decode()[:2000] == ""
    assert result.returncode == 0
    outputs = [values[name] for name in graph.outputs]
    assert result.stdout == b"".join(y[i].tobytes() for i in range(len(samples)) for y in outputs)


@each_way
@needs_gcc
def test_does_nothing_undefined(fed: bool, tmp_path: Path) -> None:
    check_sanitized(*network(fed), tmp_path)


@needs_gcc
@pytest.mark.parametrize("start", range(1))
def test_random_networks_do_nothing_undefined(start: int, tmp_path: Path) -> None:
    found = next(filter(None, map(random_stream, range(5000 + 100 * start, 5100 + 100 * start))))
    check_sanitized(*found, tmp_path)


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("start", range(50))
def test_more_random_networks_do_nothing_undefined(start: int, tmp_path: Path) -> None:
    core = M4 if start % 2 else None
    for seed in range(6000 + 100 * start, 6100 + 100 * start):
        found = random_stream(seed, core=core)
        if found is not None:
            check_sanitized(*found, tmp_path)
            break
