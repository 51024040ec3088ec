"""The generated C as C: it builds anywhere, does nothing undefined, and stays in its arena."""

from __future__ import annotations

import ctypes
import importlib
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import UserError
from edgecnn.ir import Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import operators
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.c_writer import Provenance, check_name, comment_text, to_c
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import SHARED, candidates, fast_kernels
from firmware_export.fused_kernel import fused_kernels
from firmware_export.memory.plan import ALIGNMENT
from firmware_export.toolchain import STRICT_FLAGS, zig_compiler
from tests.fast import test_conv2d_pooled as pooled
from tests.fast.fused_cases import fused_layers, pair_graph
from tests.fast.kernel_table import M0PLUS, M4, every_kernel
from tests.fast.test_add_linear import ordinary_add
from tests.fast.test_sub_linear import ordinary_sub
from tests.ops.case_table import Case, Constant, Value, build, write_c

#: The named cases of every operator, from its own test module.
ALL_CASES: list[Case] = [
    case
    for op in sorted(name for name, op in operators().items() if not op.is_float_only)
    for case in importlib.import_module(f"tests.ops.test_{op}").CASES
]


def numbered(cases: Sequence[Case]) -> list[Case]:
    """Cases of several tables under names of their own."""
    return [replace(case, name=f"{i}-{case.op}-{case.name}") for i, case in enumerate(cases)]


def every_case() -> Graph:
    """The named cases of all operators, side by side."""
    return build(numbered(ALL_CASES), "every")


def chain() -> Graph:
    """One network with the operators of a plain CNN, one after the other, and a residual."""
    rng = np.random.default_rng(1)
    act = QuantParams.per_tensor(0.05, 4)
    tensors = {"x": Tensor("x", (1, 8, 8, 2), "int8", None, act)}
    nodes: list[Node] = []

    def constant(name: str, data: Array, scale: float) -> str:
        tensors[name] = Tensor(
            name, data.shape, data.dtype.name, data, QuantParams.per_tensor(scale, 0)
        )
        return name

    def step(
        op: str, inputs: Sequence[str], attributes: Any = None, quant: QuantParams = act
    ) -> str:
        a = operators()[op].attributes() if attributes is None else attributes
        (shape,) = operators()[op].infer_shapes(a, [tensors[n].shape if n else () for n in inputs])
        name = f"{op}_{len(nodes)}"
        tensors[name] = Tensor(name, shape, "int8", None, quant)
        nodes.append(Node(op, tuple(inputs), (name,), a))
        return name

    def weights(*shape: int) -> Array:
        return rng.integers(-127, 128, shape, dtype=np.int8)

    padded = step("pad", ["x"], PadAttributes(((0, 0), (1, 1), (1, 1), (0, 0))))
    bias = constant("bias", np.array([5, -9, 1000, 0], np.int32), 0.0005)
    conv = step(
        "conv2d", [padded, constant("w1", weights(4, 3, 3, 2), 0.01), bias], Conv2DAttributes()
    )
    kernel = constant("w2", weights(1, 3, 3, 4), 0.01)
    same = DepthwiseConv2DAttributes(padding=(1, 1, 1, 1))
    depthwise = step("depthwise_conv2d", [conv, kernel, ""], same)
    total = step("add", [conv, depthwise], AddAttributes("relu"))
    pooled = step("max_pool2d", [step("relu", [total])], MaxPool2DAttributes((2, 2), (2, 2)))
    pooled = step("average_pool2d", [step("relu6", [pooled])], AveragePool2DAttributes((2, 2)))
    turned = step("transpose", [pooled], TransposeAttributes((0, 3, 1, 2)))
    averaged = step("mean", [turned], MeanAttributes((3,)))
    flat = step("reshape", [averaged], ReshapeAttributes((1, 12)))
    last = step(
        "fully_connected",
        [flat, constant("w3", weights(5, 12), 0.01), ""],
        FullyConnectedAttributes(),
    )
    step("softmax", [last], SoftmaxAttributes(), QuantParams.per_tensor(1 / 256, -128))
    return Graph("chain", tuple(nodes), tensors, ("x",), (nodes[-1].output,))


def test_there_are_cases_of_every_operator() -> None:
    exported = {name for name, op in operators().items() if not op.is_float_only}
    assert {node.op for node in every_case().nodes} == exported
    assert {node.op for node in chain().nodes} <= exported
    assert {case.op for case in ALL_CASES} == exported


def portable(graph: Graph) -> tuple[Graph, dict[str, CLayer]]:
    """A graph as it is without a choice of kernels."""
    return graph, {}


def every_fast_case() -> Graph:
    """Every case, and sums and differences whose outputs are seldom exactly halfway."""
    rng = np.random.default_rng(0)
    ordinary = [ordinary_add(rng, f"add-{i}") for i in range(4)]
    ordinary += [ordinary_sub(rng, f"sub-{i}") for i in range(4)]
    return build([*numbered(ALL_CASES), *ordinary], "every")


def every_fused(graph: Graph) -> tuple[Graph, dict[str, CLayer]]:
    """A graph of pairs with the kernels that can compute them."""
    return graph, {k: v for stem in fused_kernels() for k, v in fused_layers(stem, graph).items()}


#: Networks with their fast layers, by name.
NETWORKS = {
    "chain": lambda: portable(chain()),
    "every case": lambda: portable(every_case()),
    "every kernel with DSP instructions": lambda: every_kernel(every_fast_case(), M4),
    "every kernel without": lambda: every_kernel(every_fast_case(), M0PLUS),
    "every kernel of two operators": lambda: every_fused(pair_graph(pooled.CASES[:4])),
}


def test_there_are_cases_of_every_kernel() -> None:
    graph = every_fast_case()
    stems = {s for core in (M4, M0PLUS) for n in graph.nodes for s in candidates(n, graph, core)}
    assert {stem.removesuffix(SHARED) for stem in stems} == set(fast_kernels())
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


def compile_or_fail(command: Sequence[str], directory: Path) -> None:
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[:3000]
    assert result.stderr == ""


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize("network", NETWORKS)
def test_compiles_without_a_warning(network: str, compiler: list[str], tmp_path: Path) -> None:
    graph, chosen = NETWORKS[network]()
    write_c(graph, tmp_path, chosen)
    for source in (f"{graph.name}.c", f"{graph.name}_weights.c"):
        # -O2, since some warnings (uninitialized, array bounds) need the optimizer.
        compile_or_fail([*compiler, *STRICT_FLAGS, "-O2", "-c", source, "-o", "out.o"], tmp_path)


EXTRA_WARNINGS = ("-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wundef", "-Wstrict-prototypes")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("network", NETWORKS)
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


# --- what the text may hold --------------------------------------------------------------------


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


# --- the interface at run time -----------------------------------------------------------------


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
