"""Cycles and memory of the MLPerf Tiny models on emulated Cortex-M cores, beside CMSIS-NN.

    python benchmarks/on_device.py [--model NAME] [--cpu CPU] [--compiler NAME]
                                   [--optimize speed|balanced|memory] [-o FILE]

For each model kernels are chosen for each core, as `edgecnn export --optimize speed` does. What
that gives is compiled by each compiler and runs in the emulator: one inference with its
instructions counted, and one of a random sample whose every tensor is compared, byte by byte, with
what numpy computes. Cycles are those of the cores' published tables at zero wait states; the
Cortex-M7 and M33 have none, so theirs are estimates (~). CMSIS-NN's figures are in the same
measure. Published results are from boards, whose flash has wait states: CMSIS-NN took 1.22 to 1.44
times as many cycles on a Cortex-M4 as this measure says, so expect that of ours too.
A model with channels that no output depends on is there twice: without them, which is what export
gives, and with all of them. Two runs print the same. The models come from ``EDGECNN_SHARED`` or
the folder beside the repository.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.ir import Graph
from edgecnn.loading import load_path
from edgecnn.parity import Artifact, random_feeds
from edgecnn.passes.remove_channels import remove_channels
from edgecnn.simulator import run_int
from firmware_export.c_writer import Provenance
from firmware_export.chooser import OPTIMIZE
from firmware_export.device.build import COMPILERS, GCC, unavailable
from firmware_export.device.cores import CORES
from firmware_export.device.profile import profile
from firmware_export.preparation import Goal, prepare
from firmware_export.runners.cortex_m import CortexMRunner
from firmware_export.scratch import generated

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8")
#: Not the seed of the sample that is counted.
CHECKED_SEED = 1


@dataclass(frozen=True)
class Peer:
    """Cycles that others take, in millions: of `MODELS`, in that order."""

    core: str
    what: str
    source: str
    millions: tuple[float, float, float, float]

    def cycles(self, model: str) -> int:
        """Of one model."""
        return round(1e6 * self.millions[MODELS.index(model)])


_CMSIS_NN = "CMSIS-NN 99f736a (July 2026), gcc 12.2 -O3, counted as here"
_BEST = "MLPerf Tiny, closed division, on a board"
_V1 = "MLPerf Tiny v1.0, closed division, on a board"
#: In the same measure.
COUNTED = (
    Peer("cortex-m4", "CMSIS-NN", _CMSIS_NN, (36.297336, 9.252351, 29.526390, 0.719207)),
    Peer("cortex-m0plus", "CMSIS-NN", _CMSIS_NN, (137.1, 39.8, 119.2, 2.36)),
)
#: The best on real boards, of any vendor; all channels computed, as far as is known.
BEST = (
    Peer("cortex-m0plus", "best of any vendor", _BEST, (97.4, 30.4, 90.5, 2.62)),
    Peer("cortex-m4", "best of any vendor", _BEST, (19.8, 5.18, 21.7, 0.486)),
    Peer("cortex-m7", "best of any vendor", _BEST, (11.4, 3.17, 12.0, 0.303)),
    Peer("cortex-m33", "best of any vendor", _BEST, (16.7, 4.64, 17.1, 0.495)),
)
#: Others on real boards.
MEASURED = (
    Peer(
        "cortex-m4", "TensorFlow Lite Micro with CMSIS-NN",
        "MLPerf Tiny v0.5, closed division, on a board", (84.5, 21.8, 72.1, 1.21),
    ),
    Peer("cortex-m4", "microTVM with CMSIS-NN", _V1, (46.7, 12.0, 36.1, 1.03)),
)  # fmt: skip
#: With the channels of vww_96_int8 removed that are always zero; millions of cycles.
BEST_PRUNED_VWW = {"cortex-m4": 10.7, "cortex-m7": 6.67, "cortex-m33": 9.48}


@dataclass(frozen=True)
class Row:
    """One model on one core by one compiler; ``skipped`` says why there are no figures.

    ``removed`` is how many of the model's channels were left out.
    """

    model: str
    cpu: str
    compiler: str
    figures: dict[str, Any] | None = None
    skipped: str = ""
    exact: bool = False
    removed: int = 0

    def ratio(self, peers: Sequence[Peer]) -> float | None:
        """Cycles as a multiple of the peer's on this core, or None without one."""
        peer = next((p for p in peers if p.core == self.cpu), None)
        if peer is None or self.figures is None:
            return None
        theirs = peer.cycles(self.model)
        if self.removed and peers is BEST and self.cpu in BEST_PRUNED_VWW:
            theirs = round(1e6 * BEST_PRUNED_VWW[self.cpu])
        return self.figures["cycles"] / theirs

    @property
    def title(self) -> str:
        return f"{self.model}, {self.removed:,} channels removed" if self.removed else self.model

    def to_json(self) -> dict[str, Any]:
        head = {
            "model": self.model,
            "channels_removed": self.removed,
            "cpu": self.cpu,
            "compiler": self.compiler,
        }
        if self.figures is None:
            return {**head, "skipped": self.skipped}
        ours = {**head, "exact": self.exact, **self.figures}
        peers = {
            "cmsis_nn": self.ratio(COUNTED),
            "best_published": self.ratio(BEST),
        }
        return {**ours, "times_the_cycles_of": peers}


def is_exact(artifact: Artifact, runner: CortexMRunner) -> bool:
    """Whether every tensor of a random sample is what numpy computes."""
    feeds = random_feeds(artifact.graph, 1, CHECKED_SEED, extremes=False)
    expected = run_int(artifact.graph, feeds)
    got = runner.open(artifact).run(feeds)
    return set(artifact.graph.outputs) <= got.keys() and all(
        np.array_equal(expected[name], values) for name, values in got.items()
    )


def measure(graph: Graph, cpu: str, compiler: str, optimize: str, removed: int) -> Row:
    """Prepare as an export does, count and check one row."""
    missing = unavailable(compiler)
    if missing is not None:
        return Row(graph.name, cpu, compiler, skipped=missing, removed=removed)
    goal = Goal(cpu=cpu, optimize=optimize, remove_channels=removed > 0)
    prepared = prepare(graph, goal)
    weight_bytes = prepared.to_c(Provenance("", "", "")).weight_bytes
    with generated(prepared.graph, chosen=prepared.chosen, stream=prepared.stream) as artifact:
        found = profile(artifact, prepared.target, weight_bytes=weight_bytes, compiler=compiler)
        exact = is_exact(artifact, CortexMRunner(CORES[cpu], compiler))
    figures = found.to_json()
    for key in ("cpu", "compiler", "milliseconds"):
        figures.pop(key, None)
    figures["macs_a_cycle"] = figures["macs"] / figures["cycles"]
    return Row(graph.name, cpu, compiler, figures, exact=exact, removed=removed)


def variants(graph: Graph) -> tuple[int, ...]:
    """Channels to remove: all that no output depends on, if there are any, and none."""
    report = remove_channels(graph).report
    removed = 0 if report is None else sum(report.removed.values())
    return (removed, 0) if removed else (0,)


def compiler_versions(names: Iterable[str]) -> dict[str, str]:
    """What is installed of the compilers."""
    versions = {}
    for name in names:
        if unavailable(name) is not None:
            continue
        if name == "gcc":
            asked = subprocess.run([GCC, "-dumpfullversion"], capture_output=True, check=True)
            versions[name] = f"{GCC} {asked.stdout.decode().strip()}"
        else:
            versions[name] = f"ziglang {importlib.metadata.version('ziglang')}"
    return versions


# --- tables -----------------------------------------------------------------------------------

_HEADINGS = (
    "model", "core", "compiler", "Mcycles", "Minstr.", "MAC/cycle", "× CMSIS-NN", "× published",
    "arena", "stack", "code", "weights", "bytes",
)  # fmt: skip
_FILE_COLUMNS = 160
_TEXT_COLUMNS = ("model", "core", "compiler", "bytes")


def cells(row: Row) -> tuple[str, ...]:
    """A row under `_HEADINGS`."""
    f = row.figures
    if f is None:
        return row.title, row.cpu, row.compiler, *[""] * 9, "skipped"
    tilde = "~" if f["cycles_are_estimated"] else ""

    def times(peers: Sequence[Peer]) -> str:
        ratio = row.ratio(peers)
        return "" if ratio is None else f"{tilde}{ratio:.2f}"

    return (
        row.title,
        row.cpu,
        row.compiler,
        f"{tilde}{f['cycles'] / 1e6:.2f}",
        f"{f['instructions'] / 1e6:.2f}",
        f"{tilde}{f['macs_a_cycle']:.3f}",
        times(COUNTED),
        times(BEST),
        *(f"{f[key]:,}" for key in ("arena_bytes", "stack_bytes", "code_bytes", "weight_bytes")),
        "exact" if row.exact else "DIFFER",
    )


def show(rows: Sequence[Row]) -> None:
    """Print all rows as one table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="One inference on emulated cores", title_justify="left")
    for heading in _HEADINGS:
        is_text = heading in _TEXT_COLUMNS
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for i, row in enumerate(rows):
        ends = i + 1 == len(rows) or rows[i + 1].title != row.title
        table.add_row(*cells(row), end_section=ends)
    console = Console()
    if not console.is_terminal:  # rich would take it for 80 columns wide
        console.width = _FILE_COLUMNS
    console.print(table)
    for compiler, reason in {row.compiler: row.skipped for row in rows if row.skipped}.items():
        print(f"{compiler} skipped: {reason}")
    print(
        "~ estimate: no published table. CMSIS-NN is counted as here. Published cycles are from\n"
        "boards with flash wait states, which made CMSIS-NN 1.22 to 1.44 times slower on an M4."
    )


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    rules = ["---" if heading in _TEXT_COLUMNS else "---:" for heading in _HEADINGS]
    lines = [_HEADINGS, rules, *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """Everything as JSON: rows, and what they are compared with."""
    return {
        "compilers": compiler_versions(dict.fromkeys(row.compiler for row in rows)),
        "rows": [row.to_json() for row in rows],
        "peers": {
            "counted": [_peer_json(p) for p in COUNTED],
            "published": [_peer_json(p) for p in (*BEST, *MEASURED)],
            "published_vww_without_dead_channels": {
                core: round(1e6 * millions) for core, millions in BEST_PRUNED_VWW.items()
            },
        },
    }


def _peer_json(peer: Peer) -> dict[str, Any]:
    cycles = {model: peer.cycles(model) for model in MODELS}
    return {"cpu": peer.core, "what": peer.what, "source": peer.source, "cycles": cycles}


# --- the command ------------------------------------------------------------------------------


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; each selection may be given several times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--cpu", action="append", choices=tuple(CORES))
    parser.add_argument("--compiler", action="append", choices=COMPILERS)
    parser.add_argument("--optimize", choices=OPTIMIZE, default="speed")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write JSON")
    return parser.parse_args(argv)


def measured(selected: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """The rows, one after the other."""
    for model in selected.model or MODELS:
        graph = load_path(folder / f"{model}.tflite").replace(name=model)
        for removed in variants(graph):
            for cpu in selected.cpu or CORES:
                for compiler in selected.compiler or COMPILERS:
                    yield measure(graph, cpu, compiler, selected.optimize, removed)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if any byte differs, 2 where models are missing."""
    selected = arguments_of(argv)
    shared = Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")
    folder = shared / "models" / "mlperf_tiny"
    for model in selected.model or MODELS:
        if not (folder / f"{model}.tflite").is_file():
            print(f"{folder} lacks {model}.tflite; set EDGECNN_SHARED", file=sys.stderr)
            return 2
    rows = []
    for row in measured(selected, folder):
        rows.append(row)
        if sys.stderr.isatty():
            print(f"{row.model} {row.cpu} {row.compiler}", file=sys.stderr)
    if selected.markdown:
        print(markdown(rows))
    else:
        show(rows)
    if selected.output is not None:
        selected.output.write_text(json.dumps(report(rows), indent=2) + "\n")
    return 0 if all(row.exact or row.skipped for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
