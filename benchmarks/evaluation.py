"""Time to evaluate 10,000 MNIST images: edgecnn's exact runner against tflite-runtime's default.

    python benchmarks/evaluation.py [--rounds N] [--json FILE]

Both get the same float images in one `.npz` file and the same number of threads, and count the
right answers. The interpreter is tflite-runtime's default one, with its optimized kernels, which
runs image by image as its users run it; edgecnn runs the generated C, which has the bytes of
TensorFlow Lite Micro. They take turns; times are medians over the rounds, first by the clock, then
those of the processors, which say more where other work goes on:

- inference: samples in memory to classes counted, the network being there;
- with set-up: also opening the model; for edgecnn once with nothing in its cache, so that the C
  is written and compiled, and once with the compiled C in it;
- whole process: from the start of a process, Python's imports and the reading of files included.

The images are MNIST's 5,000 test images twice, from ``EDGECNN_SHARED`` or the folder beside the
repository, and so are the models (TinyMaix's).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgecnn.evaluate import Side, Task, measure
from edgecnn.frontends.tflite import load
from edgecnn.ir import Array
from edgecnn.parallel import Workers
from edgecnn.sources import open_source
from firmware_export.scratch import compiled

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = ("mnist_valid_q", "mnist_resnet_q", "mnist_dw_q")
THREADS = (1, 2)

#: What a user of tflite-runtime writes; also run here as a process of its own.
INTERPRETER = """
import sys
import numpy as np
import tflite_runtime.interpreter as tflite

def opened(model, threads):
    interpreter = tflite.Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter

def right_answers(interpreter, x, y):
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    codes = np.round(x / np.float32(scale)) + zero_point
    codes = np.clip(codes, -128, 127).astype(np.int8).reshape(len(x), *source["shape"])
    right = 0
    for code, label in zip(codes, y):
        interpreter.set_tensor(source["index"], code)
        interpreter.invoke()
        right += int(interpreter.get_tensor(target["index"]).argmax() == label)
    return right

if __name__ == "__main__":
    with np.load(sys.argv[2]) as data:
        x, y = data["x"], data["y"]
    print(right_answers(opened(sys.argv[1], int(sys.argv[3])), x, y) / len(y))
"""


def shared() -> Path:
    """Where models and data lie."""
    return Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")


@contextmanager
def empty_cache() -> Iterator[None]:
    """Nothing that was compiled before."""
    before = os.environ.get("EDGECNN_CACHE")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        os.environ["EDGECNN_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("EDGECNN_CACHE")
            if before is not None:
                os.environ["EDGECNN_CACHE"] = before


class Seconds(NamedTuple):
    """By the clock, and of all processors, those of processes that were started among them."""

    clock: float
    processors: float


def seconds(work: Callable[[], Any]) -> Seconds:
    start, before = time.perf_counter(), os.times()
    work()
    after, end = os.times(), time.perf_counter()
    return Seconds(end - start, sum(after[:4]) - sum(before[:4]))


def in_process(model: Path, data: Path, threads: int) -> dict[str, Callable[[], Seconds]]:
    """What is timed within this process: a function for each that gives its seconds."""
    names: dict[str, Any] = {"__name__": "interpreter"}
    exec(INTERPRETER, names)
    graph = load(model.read_bytes(), model.stem)
    source = open_source(graph, data)
    with np.load(data) as arrays:
        x, y = arrays["x"], arrays["y"]
    workers = Workers(threads)

    def ours(run: Any) -> float:
        return float(
            measure(Task.classification, [Side(graph, run)], source, workers).int8_accuracy
        )

    def opened() -> None:
        with compiled(load(model.read_bytes(), model.stem)) as session:
            ours(session.run)

    def compiled_anew() -> Seconds:
        with empty_cache():
            return seconds(opened)

    interpreter = names["opened"](str(model), threads)
    with compiled(graph) as session:
        run = session.run
    assert abs(ours(run) - names["right_answers"](interpreter, x, y) / len(y)) < 0.01
    return {
        "tflite-runtime, inference": lambda: seconds(
            lambda: names["right_answers"](interpreter, x, y)
        ),
        "edgecnn, inference": lambda: seconds(lambda: ours(run)),
        "tflite-runtime, with set-up": lambda: seconds(
            lambda: names["right_answers"](names["opened"](str(model), threads), x, y)
        ),
        "edgecnn, with set-up": lambda: seconds(opened),
        "edgecnn, with set-up and compilation": compiled_anew,
    }


def whole_process(model: Path, data: Path, threads: int, folder: Path) -> dict[str, Any]:
    """Processes of their own: a function for each that gives its seconds."""
    script = folder / "interpreter.py"
    script.write_text(INTERPRETER)
    stock = [sys.executable, str(script), str(model), str(data), str(threads)]
    ours = [sys.executable, "-m", "edgecnn", "evaluate", str(model), "--data", str(data)]

    def timed(command: list[str]) -> Seconds:
        call = {"capture_output": True, "check": True, "cwd": REPOSITORY}
        return seconds(lambda: subprocess.run(command, **call))  # type: ignore[call-overload]

    return {
        "tflite-runtime, whole process": lambda: timed(stock),
        "edgecnn, whole process": lambda: timed([*ours, "--jobs", str(threads)]),
    }


def evaluations(
    model: Path, data: Path, threads: int, rounds: int, folder: Path
) -> dict[str, Seconds]:
    """Median seconds by what was timed; contestants take turns."""
    contestants = in_process(model, data, threads)
    contestants |= whole_process(model, data, threads, folder)
    times: dict[str, list[Seconds]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            times[name].append(contestant())
    return {
        name: Seconds(*(statistics.median(values) for values in zip(*found, strict=True)))
        for name, found in times.items()
    }


def write_data(folder: Path) -> Path:
    """The test images twice, as floats."""
    with np.load(shared() / "data" / "mnist.npz") as arrays:
        x: Array = np.concatenate([arrays["x_test"]] * 2)[..., None].astype(np.float32) / 255
        y: Array = np.concatenate([arrays["y_test"]] * 2)
    np.savez(folder / "mnist.npz", x=x, y=y)
    return folder / "mnist.npz"


def _pair(found: Seconds) -> str:
    return f"{found.clock:.2f}  ({found.processors:.2f})"


def show(results: Mapping[str, Mapping[str, Mapping[str, Seconds]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    for threads, by_model in results.items():
        table = Table(
            title=f"10,000 images, {threads} thread(s): seconds (of processors)",
            title_justify="left",
        )
        table.add_column("what")
        for model in by_model:
            table.add_column(model, justify="right")
        for what in next(iter(by_model.values())):
            table.add_row(what, *(_pair(times[what]) for times in by_model.values()))
        Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time to evaluate 10,000 images.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    arguments = parser.parse_args()
    if not (shared() / "data" / "mnist.npz").is_file():
        print(f"{shared()} lacks data/mnist.npz; set EDGECNN_SHARED", file=sys.stderr)
        return 2
    results: dict[str, dict[str, dict[str, Seconds]]] = {}
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as name:
        folder = Path(name)
        data = write_data(folder)
        for threads in THREADS:
            results[str(threads)] = {
                model: evaluations(
                    shared() / "models" / "tinymaix" / f"{model}.tflite",
                    data,
                    threads,
                    max(1, arguments.rounds),
                    folder,
                )
                for model in MODELS
            }
    show(results)
    if arguments.json:
        machine = {"cores": os.cpu_count(), "machine": platform.machine()}
        report = {"machine": machine, "rounds": arguments.rounds, "threads": results}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
