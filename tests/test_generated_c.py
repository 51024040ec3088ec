"""The generated C as C: it builds anywhere, and does nothing undefined."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgecnn.ir import Graph
from edgecnn.operators import operators
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.fast_kernel import candidates, fast_kernels
from firmware_export.fused_kernel import fused_kernels
from firmware_export.toolchain import STRICT_FLAGS, zig_compiler
from tests.fast import test_conv2d_pooled as pooled
from tests.fast.fused_cases import pair_graph
from tests.fast.kernel_table import M0PLUS, M4
from tests.generated_networks import (
    ALL_CASES,
    NETWORKS,
    chain,
    compile_or_fail,
    every_case,
    every_fast_case,
    every_fused,
)
from tests.ops.case_table import write_c


def test_there_are_cases_of_every_operator() -> None:
    exported = {name for name, op in operators().items() if not op.is_float_only}
    assert {node.op for node in every_case().nodes} == exported
    assert {node.op for node in chain().nodes} <= exported
    assert {case.op for case in ALL_CASES} == exported


def test_there_are_cases_of_every_kernel() -> None:
    graph = every_fast_case()
    stems = {s for core in (M4, M0PLUS) for n in graph.nodes for s in candidates(n, graph, core)}
    assert {stem.split(",")[0] for stem in stems} == set(fast_kernels())
    _, fused = every_fused(pair_graph(pooled.CASES))
    assert {layer.kernel for layer in fused.values()} == set(fused_kernels())


def compilers() -> list[Any]:
    """gcc, clang and zig; those that are absent are skipped by name."""
    found = []
    for name in ("gcc", "clang"):
        absent = pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")
        found.append(pytest.param([name], marks=absent, id=name))
    zig = zig_compiler()
    absent = pytest.mark.skipif(zig is None, reason="ziglang is not installed")
    return [*found, pytest.param(zig, marks=absent, id="zig")]


def every_second_look() -> list[Any]:
    """Networks and compilers: gcc compiles all; others the kernels in the slow tier only."""
    found = []
    for network in NETWORKS:
        for compiler in compilers():
            again = compiler.id != "gcc" and network.startswith("every")
            marks = [*compiler.marks, *([pytest.mark.slow] if again else [])]
            found.append(
                pytest.param(network, *compiler.values, marks=marks, id=f"{network}-{compiler.id}")
            )
    return found


@pytest.mark.parametrize(("network", "compiler"), every_second_look())
def test_compiles_without_a_warning(network: str, compiler: list[str], tmp_path: Path) -> None:
    graph, chosen = NETWORKS[network]()
    write_c(graph, tmp_path, chosen)
    for source in (f"{graph.name}.c", f"{graph.name}_weights.c"):
        # -O2, since some warnings (uninitialized, array bounds) need the optimizer.
        compile_or_fail([*compiler, *STRICT_FLAGS, "-O2", "-c", source, "-o", "out.o"], tmp_path)


EXTRA_WARNINGS = ("-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wundef", "-Wstrict-prototypes")


#: What all kernels of cores with DSP instructions are in takes long.
FIRST_NETWORKS = [
    pytest.param(name, marks=pytest.mark.slow if "every kernel with DSP" in name else ())
    for name in NETWORKS
]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("network", FIRST_NETWORKS)
def test_hides_no_narrowing(network: str, tmp_path: Path) -> None:
    """Every conversion that can lose bits is written out."""
    graph, chosen = NETWORKS[network]()
    write_c(graph, tmp_path, chosen)
    source = f"{graph.name}.c"
    compile_or_fail(["gcc", *STRICT_FLAGS, *EXTRA_WARNINGS, "-c", source, "-o", "out.o"], tmp_path)


def c_and_cpp() -> tuple[list[str], list[str]] | None:
    """A C and a C++ compiler whose objects link, or None."""
    for c, cpp in (("gcc", "g++"), ("clang", "clang++")):
        if shutil.which(c) and shutil.which(cpp):
            return [c], [cpp]
    zig = zig_compiler()
    return None if zig is None else (zig, [*zig[:-1], "c++"])


CPP_MAIN = """
#include "chain.h"
#include "chain.h"
#include "chain_weights.h"
alignas(CHAIN_ARENA_ALIGNMENT) static unsigned char arena[CHAIN_ARENA_SIZE];
int main() {
    const int shape[] = CHAIN_INPUT_SHAPE;
    chain_input(arena)[0] = CHAIN_INPUT_ZERO_POINT;
    const bool fits = shape[1] * shape[2] * shape[3] == CHAIN_INPUT_SIZE;
    return chain_run(arena) == 0 && fits && CHAIN_INPUT_SCALE > 0.0f ? 0 : 1;
}
"""


def test_header_serves_cpp(tmp_path: Path) -> None:
    """A C++ program includes the header, twice, and links with the C objects."""
    compilers = c_and_cpp()
    if compilers is None:
        pytest.skip("no C++ compiler is installed")
    c, cpp = compilers
    write_c(chain(), tmp_path)
    (tmp_path / "main.cpp").write_text(CPP_MAIN)
    compile_or_fail([*c, "-std=c99", "-c", "chain.c", "chain_weights.c"], tmp_path)
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-sign-compare"]
    objects = ["chain.o", "chain_weights.o"]
    compile_or_fail([*cpp, *strict, "main.cpp", *objects, "-o", "main"], tmp_path)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


# --- undefined behaviour -----------------------------------------------------------------------

SANITIZED_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "%(name)s.h"
/* Reads samples of all inputs from stdin, writes all outputs to stdout. */
int main(void) {
    void *arena = aligned_alloc(16, (%(NAME)s_ARENA_SIZE + 15u) / 16u * 16u);
    for (;;) {
        memset(arena, 0xA5, %(NAME)s_ARENA_SIZE);
%(reads)s
        if (%(name)s_run(arena) != 0) { free(arena); return 2; }
%(writes)s
    }
}
"""


def sanitized_main(graph: Graph) -> str:
    reads: list[str] = []
    writes: list[str] = []
    for kind, names, lines in (("input", graph.inputs, reads), ("output", graph.outputs, writes)):
        for i, name in enumerate(names):
            port = f"{graph.name}_{kind}" + (f"_{i}" if len(names) > 1 else "")
            size = graph.tensors[name].nbytes
            if kind == "input":
                lines.append(
                    f"        if (fread({port}(arena), 1, {size}, stdin) != {size})"
                    " { free(arena); return 0; }"
                )
            else:
                lines.append(f"        fwrite({port}(arena), 1, {size}, stdout);")
    return SANITIZED_MAIN % {
        "name": graph.name,
        "NAME": graph.name.upper(),
        "reads": "\n".join(reads),
        "writes": "\n".join(writes),
    }


SANITIZERS = "-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("network", NETWORKS)
def test_does_nothing_undefined(network: str, tmp_path: Path) -> None:
    """Under gcc's sanitizers the bytes are right and nothing is reported."""
    graph, chosen = NETWORKS[network]()
    write_c(graph, tmp_path, chosen)
    (tmp_path / "main.c").write_text(sanitized_main(graph))
    sources = ["main.c", f"{graph.name}.c", f"{graph.name}_weights.c"]
    flags = ["-std=gnu11", "-O1", "-g", SANITIZERS, "-fno-sanitize-recover=all"]
    compile_or_fail(["gcc", *flags, *sources, "-o", "main"], tmp_path)
    feeds = random_feeds(graph, 4, 3)
    count = len(feeds[graph.inputs[0]])
    samples = b"".join(feeds[n][i].tobytes() for i in range(count) for n in graph.inputs)
    result = subprocess.run([tmp_path / "main"], input=samples, capture_output=True, check=False)
    assert result.stderr.decode()[:2000] == ""
    assert result.returncode == 0
    values = run_int(graph, feeds)
    expected = b"".join(values[n][i].tobytes() for i in range(count) for n in graph.outputs)
    assert result.stdout == expected
