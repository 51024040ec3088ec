"""RAM and flash of the MLPerf Tiny models: edgecnn beside TensorFlow Lite Micro.

    python benchmarks/memory.py [--model NAME]… [--json FILE]

Two tables, in bytes. RAM: for each model what TFLite Micro's recording allocator reports on this
machine, then exports for a Cortex-M4, with the arena, how good its plan is proved to be and the
seconds that the planner took; cycles of an emulated core, also as a multiple of those of
``--optimize speed``, which has no limit; and whether every tensor of five samples had TFLite
Micro's bytes, on this host and on the emulated core, with guards around the arena. Flash: weights,
and code and constants of the generated C by the Clang of the ziglang package at -O2.

"head" are the activations that TFLite Micro plans, "tail" its structures beside them (with 64-bit
pointers; less on a 32-bit core); its interpreter and kernels come on top of the model file. An
arena over what it must not exceed ends the program with status 1. The models come from
``EDGECNN_SHARED`` or the folder beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecnn.ir import Graph
from edgecnn.loading import load_path
from firmware_export.c_writer import Provenance
from firmware_export.code_size import code_size
from firmware_export.export import export
from firmware_export.memory.plan import Plan, Problem
from firmware_export.memory.planner import search
from firmware_export.preparation import Goal, prepare
from firmware_export.scratch import generated

REPOSITORY = Path(__file__).resolve().parents[1]
CORE = "cortex-m4"
RUNNERS = ("tflm", "host-c", CORE)
#: Random samples that every export is verified with, besides the three extreme ones.
SAMPLES = 2


@dataclass(frozen=True)
class Setup:
    """Options of an export, and the bytes that its arena must not exceed."""

    optimize: str
    must: int | None = None
    ram_limit: int | None = None
    feed: str = "input"

    @property
    def options(self) -> str:
        """As they are typed."""
        limit = "" if self.ram_limit is None else f" --ram-limit {self.ram_limit}"
        return f"--optimize {self.optimize}{limit}{' --feed rows' if self.feed == 'rows' else ''}"


def _setups(must: int, limit: int, *, rows: bool = True) -> tuple[Setup, ...]:
    fed = (Setup("speed", feed="rows"), Setup("memory", feed="rows")) if rows else ()
    return (Setup("speed", must), Setup("speed", limit, limit), Setup("memory", must), *fed)


MODELS = {
    "pretrainedResnet_quant": _setups(40_960, 20_000),
    "kws_ref_model": _setups(12_288, 8_640),
    "vww_96_int8": _setups(49_152, 31_000),
    "ad01_int8": _setups(1_024, 768, rows=False),
}


@dataclass(frozen=True)
class RamRow:
    """One export, or TFLite Micro, which has an arena alone."""

    model: str
    options: str
    arena: int
    must: int | None = None
    plan: str = ""
    plan_seconds: float | None = None
    layers_in_bands: int | None = None
    cycles: int | None = None
    times_speed: float | None = None
    is_exact: bool | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether the arena exceeds what it must not."""
        return self.must is not None and self.arena > self.must


@dataclass(frozen=True)
class FlashRow:
    """What one model takes of flash, by the kernels of ``balanced``."""

    model: str
    arena: int
    tflm_head: int
    tflm_tail: int
    weights: int
    code: int
    model_file: int


# Runs apart: the allocator prints to the process's stderr, below Python.
_TFLM = """
import sys
import numpy as np
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 22)
details = interpreter.get_input_details(0)
interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
interpreter.invoke()
interpreter.print_allocations()
"""


def tflm_bytes(model: Path) -> tuple[int, int]:
    """TFLite Micro's planned activations and persistent structures, in bytes."""
    result = subprocess.run(
        [sys.executable, "-c", _TFLM, str(model)], capture_output=True, text=True, check=True
    )
    found = dict(re.findall(r"Arena allocation (head|tail) (\d+) bytes", result.stderr))
    return int(found["head"]), int(found["tail"])


def seconds_to_plan(found: Plan) -> float:
    """How long the planner takes for a plan's buffers."""
    problem = Problem(found.buffers, found.overlaps)
    begin = time.perf_counter()
    search(problem)
    return time.perf_counter() - begin


def ram(model: Path, head: int, setups: Sequence[Setup]) -> Iterator[RamRow]:
    """The rows of a model; the first of the exports is the one to compare with."""
    yield RamRow(model.stem, "TFLM head", head)
    graph = load_path(model)
    fastest: int | None = None
    for setup in setups:
        row = _exported(graph, model, setup, fastest)
        fastest = fastest or row.cycles
        yield row


def _exported(graph: Graph, model: Path, setup: Setup, fastest: int | None) -> RamRow:
    """Export, verify and count; raises `ParityError` where a byte differs."""
    with tempfile.TemporaryDirectory() as folder:
        result = export(
            graph,
            folder,
            cpu=CORE,
            optimize=setup.optimize,
            ram_limit=setup.ram_limit,
            feed=setup.feed,
            source_tflite=model.read_bytes(),
            runners=RUNNERS,
            samples=SAMPLES,
        )
    if result.profile is None or result.choice is None:
        raise SystemExit("memory.py: this needs a compiler for Cortex-M, and unicorn")
    ran = {r.name for r in result.parity.runners if r.available and r.values}
    cycles, memory = result.profile.total.cycles, result.memory
    return RamRow(
        model.stem,
        setup.options,
        memory.arena_bytes,
        setup.must,
        "optimal" if memory.is_optimal else f"gap {memory.gap:,}",
        seconds_to_plan(memory),
        len(result.choice.bands_to_json()),
        cycles,
        cycles / (fastest or cycles),
        result.parity.passed and ran == set(RUNNERS),
    )


def flash(model: Path, head: int, tail: int) -> FlashRow:
    """One row of the table of flash."""
    prepared = prepare(load_path(model), Goal(cpu=CORE))
    network = prepared.to_c(Provenance("", "", ""))
    with generated(prepared.graph, chosen=prepared.chosen, stream=prepared.stream) as artifact:
        assert artifact.c_directory is not None
        code = code_size(artifact.c_directory, artifact.name, network, CORE)
    arena, weights = network.plan.arena_bytes, network.weight_bytes
    return FlashRow(model.stem, arena, head, tail, weights, code.bytes, model.stat().st_size)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "exact" if value else "not all compared"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_table(rows: Sequence[RamRow] | Sequence[FlashRow]) -> None:
    """In Markdown, one column a field."""
    words = [title.replace("_", " ").replace("tflm", "TFLM") for title in asdict(rows[0])]
    titles = ["bytes" if title == "is exact" else title for title in words]
    print("| " + " | ".join(titles) + " |")
    rules = ["---" if isinstance(v, str) else "---:" for v in asdict(rows[0]).values()]
    print("| " + " | ".join(rules) + " |")
    for row in rows:
        print("| " + " | ".join(map(_cell, asdict(row).values())) + " |")
    print(flush=True)


def main() -> int:
    """Measure, print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", choices=MODELS, help="all by default")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    shared = Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")
    names = arguments.model or list(MODELS)
    paths = [shared / "models" / "mlperf_tiny" / f"{name}.tflite" for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        print(f"memory.py: {missing[0]} is absent; set EDGECNN_SHARED", file=sys.stderr)
        return 2
    ram_rows: list[RamRow] = []
    flash_rows: list[FlashRow] = []
    for path in paths:
        head, tail = tflm_bytes(path)
        ram_rows += ram(path, head, MODELS[path.stem])
        flash_rows.append(flash(path, head, tail))
    print_table(ram_rows)
    print_table(flash_rows)
    if arguments.json:
        tables: dict[str, Any] = {
            "ram": [asdict(row) for row in ram_rows],
            "flash": [asdict(row) for row in flash_rows],
        }
        arguments.json.write_text(json.dumps(tables, indent=2) + "\n")
    too_large = [row for row in ram_rows if row.is_too_large]
    for row in too_large:
        print(
            f"memory.py: {row.model} {row.options}: {row.arena:,} bytes are over {row.must:,}",
            file=sys.stderr,
        )
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
