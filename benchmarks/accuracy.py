"""What quantization costs: float and int8 accuracy by each method, on each network.

    python benchmarks/accuracy.py [--networks NAME,NAME] [--calibration N] [--json FILE]

The int8 network is computed by its generated C, compiled for this machine. Networks named mnist-…
are TinyMaix's float models, on the 5,000 test images of MNIST and calibrated on random training
images; ``mnist-dw-rescaled`` is the same function with channels rescaled by factors of up to 1000.
They lie in ``EDGECNN_SHARED`` or the folder beside the repository and are left out where they are
not. The others are the classifiers of the zoo, trained here first. ``own`` is the int8 file that
came with a float model. Time is that of quantizing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import edgecnn
from edgecnn.data import to_feeds
from edgecnn.ir import Array, Graph
from edgecnn.simulator import run_float, run_in_parts
from firmware_export.scratch import compiled

REPOSITORY = Path(__file__).resolve().parents[1]
CALIBRATION = 1000
#: Range method and repair; the last is what ``edgecnn.quantize`` does unless told otherwise.
METHODS = (
    ("minmax", "none"),
    ("percentile", "none"),
    ("mse", "none"),
    ("entropy", "none"),
    ("auto", "none"),
    ("minmax", "equalize"),
    ("minmax", "bias"),
    ("minmax", "rounding,bias"),
    ("minmax", "all"),
    ("auto", "all"),
)


@dataclass(frozen=True)
class Subject:
    """A float network with data; ``own`` is somebody else's int8 form of it."""

    graph: Graph
    calibration: Array
    x: Array
    y: Array
    own: Graph | None = None


@dataclass(frozen=True)
class Row:
    """Shares from 0 to 1; ``drop`` is in points of a hundred."""

    network: str
    method: str
    float_accuracy: float
    int8_accuracy: float
    drop: float
    agreement: float
    seconds: float


def shared() -> Path:
    """Where models and data lie."""
    return Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")


def mnist(network: str, count: int, rescaled: float = 1.0) -> Subject:
    """A model of TinyMaix."""
    folder = shared() / "models/tinymaix"
    with np.load(shared() / "data/mnist.npz") as data:
        mixed = np.random.default_rng(0).permutation(len(data["x_train"]))[:count]
        train, test, labels = data["x_train"][mixed], data["x_test"], data["y_test"]
    graph = edgecnn.load(folder / f"mnist_{network}_f.tflite")
    own = edgecnn.load(folder / f"mnist_{network}_q.tflite")
    if rescaled > 1:
        sys.path.insert(0, str(REPOSITORY))
        from tests.quantization.networks import rescaled_chain

        graph, own = rescaled_chain(graph, rescaled), None
    x, calibration = (part[..., None].astype(np.float32) / 255 for part in (test, train))
    return Subject(graph, calibration, x, labels, own)


def trained(name: str, count: int) -> Subject:
    """A classifier of the zoo."""
    import torch

    from edgecnn.zoo.tasks import TASKS

    split = TASKS[name].data()
    module = TASKS[name].train(split)
    graph = edgecnn.load(module, torch.zeros(1, *split.train_x.shape[1:]))
    return Subject(graph, split.train_x[:count], split.test_x, split.test_y)


def subjects() -> dict[str, Callable[[int], Subject]]:
    """Every network that can be had here."""
    found: dict[str, Callable[[int], Subject]] = {}
    if (shared() / "data/mnist.npz").exists():
        for name in ("valid", "resnet", "dw"):
            found[f"mnist-{name}"] = lambda count, name=name: mnist(name, count)
        found["mnist-dw-rescaled"] = lambda count: mnist("dw", count, 1000.0)
    for name in ("vgg", "csp-mish", "mobilenet-v1", "mobilenet-v2", "mobilenet-v3",
                 "keywords", "hyperspectral"):  # fmt: skip
        found[name] = lambda count, name=name: trained(name, count)
    return found


def classes(graph: Graph, x: Array) -> Array:
    """The largest output of each sample, by C where the graph is int8."""
    (name,) = graph.outputs
    feeds = to_feeds(graph, x)
    if graph.is_quantized:
        with compiled(graph) as session:
            scores = session.run_on_all_cores(feeds)[name]
    else:
        scores = run_in_parts(run_float, graph, feeds, [name])[name]
    found: Array = scores.reshape(len(x), -1).argmax(axis=1)
    return found


def rows(name: str, subject: Subject) -> Iterator[Row]:
    """A row for each method."""
    wanted = classes(subject.graph, subject.x)
    exact = float(np.mean(wanted == subject.y))

    def row(method: str, int8: Graph, seconds: float) -> Row:
        got = classes(int8, subject.x)
        accuracy = float(np.mean(got == subject.y))
        agreement = float(np.mean(got == wanted))
        return Row(name, method, exact, accuracy, 100 * (exact - accuracy), agreement, seconds)

    if subject.own is not None:
        yield row("own", subject.own, 0.0)
    for ranges, repair in METHODS:
        begun = time.perf_counter()
        int8 = edgecnn.quantize(subject.graph, subject.calibration, ranges=ranges, repair=repair)
        yield row(f"{ranges}, {repair}", int8, time.perf_counter() - begun)


def table_of(found: list[Row]) -> Table:
    """The rows as a table."""
    table = Table("network", "ranges, repair", "float %", "int8 %", "drop", "agreement %", "s")
    for row in found:
        table.add_row(
            row.network,
            row.method,
            f"{100 * row.float_accuracy:.2f}",
            f"{100 * row.int8_accuracy:.2f}",
            f"{row.drop:+.2f}",
            f"{100 * row.agreement:.2f}",
            f"{row.seconds:.1f}",
        )
    return table


def main() -> int:
    """Measure, print, and write JSON if asked."""
    known = subjects()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--networks", help=f"some of {', '.join(known)}")
    parser.add_argument("--calibration", type=int, default=CALIBRATION, help="samples")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    arguments: Any = parser.parse_args()
    names = arguments.networks.split(",") if arguments.networks else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"'{unknown[0]}' is none of {', '.join(known)}")
    console, found = Console(stderr=True), []
    for name in names:
        with console.status(name):
            found += list(rows(name, known[name](arguments.calibration)))
    Console().print(table_of(found))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
