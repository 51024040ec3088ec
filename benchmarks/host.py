"""Time of one inference on this machine: generated C against the stock interpreters.

    python benchmarks/host.py [--rounds N] [--json FILE]

All contestants run one image at a time on one core (the last one splits a batch over all cores).
They take turns within each round, so that a change of the machine's speed meets all of them;
times are medians over the rounds, ratios medians of the rounds' own ratios. Before any timing the
outputs are checked: equal bytes, or for interpreters with known differences the bytes predicted.
The models are those of MLPerf Tiny, from ``EDGECNN_SHARED`` or the folder beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.frontends.tflite import load
from edgecnn.ir import Array, Graph
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact, random_feeds
from edgecnn.simulator import lower_all, run_int
from firmware_export.c_writer import Provenance, to_c
from firmware_export.interpreters import missing_package
from firmware_export.runners.host_c import HostCSession

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8")
BASELINE = "tflite-runtime reference"
CHECKED_SAMPLES = 8
#: Each contestant computes for about so long in a round.
ROUND_SECONDS = 0.15
ARENA_BYTES = 1 << 22

#: Computes (samples, *shape) int8 inputs of the one input to the samples' outputs.
Compute = Callable[[Array], Array]


@dataclass(frozen=True)
class Contestant:
    """Something that computes a model, and the arithmetic that it is known to follow."""

    name: str
    dialect: Dialect
    compute: Compute


def models_folder() -> Path:
    """Where the models lie."""
    shared = os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared"
    return Path(shared) / "models" / "mlperf_tiny"


def stock_interpreter(module: Any, data: bytes) -> Compute:
    """tflite-runtime or ai-edge-litert with the reference kernels, on one thread."""
    interpreter = module.Interpreter(
        model_content=data,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]

    def compute(x: Array) -> Array:
        outputs = []
        for sample in x:
            interpreter.set_tensor(source, sample)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(target))
        return np.stack(outputs)

    return compute


def micro_interpreter(data: bytes) -> Compute:
    """TensorFlow Lite Micro."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)

    def compute(x: Array) -> Array:
        outputs = []
        for sample in x:
            interpreter.set_input(sample, 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0))
        return np.stack(outputs)

    return compute


def interpreters(data: bytes) -> list[Contestant]:
    """The stock interpreters that are installed."""
    found = []
    if missing_package("tflite_runtime", "tflite-runtime") is None:
        import tflite_runtime.interpreter as tflite

        compute = stock_interpreter(tflite, data)
        found.append(Contestant(BASELINE, Dialect.TFLITE, compute))
    if missing_package("ai_edge_litert", "ai-edge-litert") is None:
        from ai_edge_litert import interpreter as litert

        compute = stock_interpreter(litert, data)
        found.append(Contestant("ai-edge-litert reference", Dialect.LITERT, compute))
    if missing_package("tflite_micro", "tflite-micro") is None:
        found.append(Contestant("tflite-micro", Dialect.TFLM, micro_interpreter(data)))
    return found


def own(graph: Graph, data: bytes, folder: Path) -> list[Contestant]:
    """numpy, and the generated C on one core and on all."""
    network = to_c(graph, "network", Provenance("benchmark", "benchmarks/host.py", ""))
    for name, text in network.files.items():
        (folder / name).write_text(text)
    session = HostCSession(Artifact(graph, data, "network", folder), trace=False)
    params = lower_all(graph)
    source, target = graph.inputs[0], graph.outputs[0]

    def feeding(run: Callable[[Mapping[str, Array]], Mapping[str, Array]]) -> Compute:
        return lambda x: run({source: x})[target]

    return [
        Contestant("numpy", Dialect.TFLM, feeding(lambda feeds: run_int(graph, feeds, params))),
        Contestant("host-c, one core", Dialect.TFLM, feeding(session.run)),
        Contestant("host-c, all cores", Dialect.TFLM, feeding(session.run_on_all_cores)),
    ]


def check(graph: Graph, contestants: list[Contestant]) -> None:
    """Exit with one line unless every contestant computes the bytes that are right for it."""
    name = graph.inputs[0]
    x = random_feeds(graph, CHECKED_SAMPLES, 0)[name]
    for contestant in contestants:
        params = lower_all(graph, contestant.dialect)
        expected = run_int(graph, {name: x}, params)[graph.outputs[0]]
        if not np.array_equal(contestant.compute(x).reshape(expected.shape), expected):
            sys.exit(f"{contestant.name} computes other bytes on {graph.name}")


def seconds_an_image(compute: Compute, x: Array) -> float:
    """Time of one call, divided by its samples."""
    start = time.perf_counter()
    compute(x)
    return (time.perf_counter() - start) / len(x)


def batch_for(compute: Compute, x: Array) -> Array:
    """As many samples as take about `ROUND_SECONDS`; also warms up."""
    once = min(seconds_an_image(compute, x[:4]) for _ in range(3))
    return x[: max(4, min(len(x), int(ROUND_SECONDS / once)))]


def measure(graph: Graph, contestants: list[Contestant], rounds: int) -> dict[str, Any]:
    """Milliseconds an image of each contestant, and how often faster than the baseline."""
    x = random_feeds(graph, 256, 1, extremes=False)[graph.inputs[0]]
    batches = {c.name: batch_for(c.compute, x) for c in contestants}
    times: dict[str, list[float]] = {c.name: [] for c in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            batch = batches[contestant.name]
            times[contestant.name].append(seconds_an_image(contestant.compute, batch))
    baseline = times.get(BASELINE)
    return {
        name: {
            "milliseconds": 1e3 * statistics.median(values),
            "samples": len(batches[name]),
            "speedup": None
            if baseline is None
            else statistics.median(b / v for b, v in zip(baseline, values, strict=True)),
        }
        for name, values in times.items()
    }


def show(results: Mapping[str, Any]) -> None:
    """Print a table for each model."""
    from rich.console import Console
    from rich.table import Table

    for model, rows in results.items():
        table = Table(title=model, title_justify="left")
        table.add_column("runner")
        table.add_column("ms an image", justify="right")
        table.add_column("times as fast", justify="right")
        for name, row in rows.items():
            ratio = "" if row["speedup"] is None else f"{row['speedup']:.2f}"
            table.add_row(name, f"{row['milliseconds']:.3f}", ratio)
        Console().print(table)


def main() -> int:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description="Time of one inference on this machine.")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contestant")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    arguments = parser.parse_args()
    folder = models_folder()
    missing = [model for model in MODELS if not (folder / f"{model}.tflite").is_file()]
    if missing:
        print(f"{folder} lacks {', '.join(missing)}; set EDGECNN_SHARED", file=sys.stderr)
        return 2
    results: dict[str, Any] = {}
    for model in MODELS:
        data = (folder / f"{model}.tflite").read_bytes()
        graph = load(data, model)
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as build:
            contestants = interpreters(data) + own(graph, data, Path(build))
            check(graph, contestants)
            results[model] = measure(graph, contestants, max(1, arguments.rounds))
    show(results)
    if arguments.json:
        machine = {"cores": os.cpu_count(), "machine": platform.machine()}
        report = {"machine": machine, "rounds": arguments.rounds, "models": results}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
