"""The command ``edgecnn evaluate``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecnn.cli_models import folder_blamed, load, quantize, recipe
from edgecnn.cli_options import (
    BackendOption,
    Calibration,
    InputShape,
    Jobs,
    Json,
    Quiet,
    Ranges,
    RangesOption,
    RepairOption,
    ResumeFolder,
    Weights,
    WideOption,
)
from edgecnn.console import Console
from edgecnn.errors import OutputError, UserError

if TYPE_CHECKING:
    from edgecnn.evaluate import Side
    from edgecnn.ir import Graph
    from edgecnn.parallel import Progress, Workers
    from edgecnn.quantization.recipe import Quantized
    from edgecnn.quantization.sensitivity import LayerTable
    from edgecnn.sources import Source


def evaluate(
    model: Annotated[str, typer.Argument(help="Model as for export, or an exported folder.")],
    data: Annotated[
        Path,
        typer.Option(help="Labelled data: .npz with x and y, or a folder of shards."),
    ],
    calibration: Calibration = None,
    calibration_samples: Annotated[
        int | None, typer.Option(min=1, help="Samples to calibrate with.", show_default="all")
    ] = None,
    ranges: RangesOption = None,
    repair: RepairOption = None,
    wide: WideOption = None,
    task: Annotated[
        str,
        typer.Option(help="classification, regression, anomaly, or auto: what the labels are of."),
    ] = "auto",
    compare: Annotated[
        str | None, typer.Option(help="Another model, to compare with on the same data.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="What each layer's quantization costs alone.")
    ] = False,
    layer_samples: Annotated[
        int, typer.Option(min=1, help="Samples, the first ones, to look at layers with.")
    ] = 100,
    input_shape: InputShape = None,
    weights: Weights = None,
    jobs: Jobs = None,
    backend: BackendOption = "threading",
    resume: ResumeFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy of float and int8 on labelled data, or of two models."""
    from edgecnn.parallel import Workers

    console = Console(as_json=as_json, quiet=quiet)
    workers = Workers(jobs, backend)
    _make(resume)
    how = _How(calibration, calibration_samples, ranges, repair, wide, input_shape, weights)
    if compare is not None:
        if layers:
            raise UserError("--layers is of one model; leave it or --compare out")
        _compare(console, (model, compare), data, how, workers, resume)
        return
    count = layer_samples if layers else None
    _evaluate(console, model, data, how, workers, resume, task, count)


def _make(folder: Path | None) -> None:
    """Make the folder of finished pieces; `OutputError` where it cannot be."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--resume {folder} cannot be made: {error.strerror}") from None


class _How:
    """The options that say how to read and quantize a model."""

    def __init__(
        self,
        calibration: Path | None,
        calibration_samples: int | None,
        ranges: Ranges | None,
        repair: str | None,
        wide: str | None,
        input_shape: list[str] | None,
        weights: Path | None,
    ) -> None:
        self.calibration = calibration
        self.calibration_samples = calibration_samples
        self.ranges = ranges
        self.repair = repair
        self.wide = wide
        self.input_shape = input_shape
        self.weights = weights

    def refuse_with_folder(self, folder: str) -> None:
        """Raise `UserError` where any is given, as there is no model to read."""
        given = {
            "--calibration": self.calibration,
            "--calibration-samples": self.calibration_samples,
            "--calibration-method": self.ranges,
            "--repair": self.repair,
            "--wide": self.wide,
            "--input-shape": self.input_shape,
            "--weights": self.weights,
        }
        option = next((option for option, value in given.items() if value), None)
        if option is not None:
            raise UserError(
                f"{option} says how to read or quantize a model; {folder} is an exported folder, "
                f"whose network is int8 already: leave {option} out, or name the model"
            )

    def read(self, model: str) -> Graph:
        """The graph of a model that is no folder."""
        graph: Graph = load(model, self.input_shape, self.weights)
        return graph

    def quantize(self, graph: Graph, model: str, console: Console) -> Any:
        """See `edgecnn.cli_models.quantize`."""
        how = recipe(self.ranges, self.repair, self.wide)
        return quantize(graph, model, self.calibration, how, console, self.calibration_samples)


def _progress(console: Console, what: str) -> Progress:
    return lambda done, total: console.step(f"{what}: {100 * done // max(total, 1)} %")


@contextmanager
def _networks(
    console: Console, model: str, how: _How
) -> Iterator[tuple[list[Side], Quantized | None]]:
    """The int8 network of a model and, where it was float, the float one and how it was made."""
    from edgecnn.evaluate import Side
    from firmware_export import manifest
    from firmware_export.scratch import compiled

    with folder_blamed(model):
        artifact, float_graph, made = None, None, None
        if Path(model).is_dir():
            how.refuse_with_folder(model)
            artifact = manifest.open_export(Path(model))
            int8 = artifact.graph
        else:
            graph = how.read(model)
            int8, made, _ = how.quantize(graph, model, console)
            float_graph = None if made is None else graph
        console.step("compiling for this machine")
        with compiled(int8, artifact) as session:
            sides = [Side(int8, session.run)]
            if float_graph is not None:
                sides.append(Side(float_graph, codes=int8))
            yield sides, made


def _evaluate(
    console: Console,
    model: str,
    data: Path,
    how: _How,
    workers: Workers,
    resume: Path | None,
    task: str,
    layer_samples: int | None,
) -> None:
    from edgecnn.display_accuracy import show_evaluation, show_layers
    from edgecnn.evaluate import Task, find_task, measure, resume_key
    from edgecnn.parallel import Resume
    from edgecnn.sources import open_source

    if task not in list(Task):
        raise UserError(f"--task is '{task}'; it can be {', '.join(Task)}")
    with console.working("loading"), _networks(console, model, how) as (sides, made):
        source = open_source(sides[-1].graph, data)
        chosen = find_task(sides[0].graph, source) if task == Task.auto else Task(task)
        kept = Resume(resume_key(chosen, sides, source), resume)
        if layer_samples is not None and len(sides) == 1:
            raise UserError(
                f"--layers compares int8 with float, and {model} is int8 already; name the float "
                "model, and --calibration"
            )
        found = measure(chosen, sides, source, workers, kept, _progress(console, "evaluated"))
        table = None
        if layer_samples is not None:
            labelled = chosen is Task.classification
            assert made is not None
            table = _layers(console, made, source, layer_samples, workers, resume, labelled)
    extra = {} if table is None else {"layers": table.to_json()}
    if made is not None:
        extra["quantization"] = made.to_json()
    if not console.json(found.to_json() | extra):
        show_evaluation(console, found)
        if made is not None:
            console.text(made.summary())
        if table is not None:
            show_layers(console, table)


def _layers(
    console: Console,
    made: Quantized,
    source: Source,
    count: int,
    workers: Workers,
    resume: Path | None,
    labelled: bool,
) -> LayerTable:
    from edgecnn.parallel import Resume
    from edgecnn.quantization.sensitivity import layers_key, measure_layers

    int8, real = made.graph, made.reference
    return measure_layers(
        real,
        int8,
        source,
        count,
        workers,
        labelled=labelled,
        resume=Resume(layers_key(real, int8, source, count), resume),
        progress=_progress(console, "layers"),
    )


def _compare(
    console: Console,
    models: tuple[str, str],
    data: Path,
    how: _How,
    workers: Workers,
    resume: Path | None,
) -> None:
    from edgecnn.compare import Contender, compare
    from edgecnn.display_accuracy import show_comparison
    from edgecnn.sources import open_source

    with console.working("loading"), contextlib.ExitStack() as stack:
        contenders = []
        for model in models:
            side = stack.enter_context(_side(console, model, how))
            contenders.append(Contender(model, side, open_source(side.graph, data)))
        progress = _progress(console, "compared")
        found = compare(contenders, workers, resume, progress)
    if not console.json(found.to_json()):
        show_comparison(console, found)


@contextmanager
def _side(console: Console, model: str, how: _How) -> Iterator[Side]:
    """A model as it is; a float one in int8 where there are calibration data."""
    from edgecnn.evaluate import Side

    if not Path(model).is_dir() and how.calibration is None:
        graph = how.read(model)
        if not graph.is_quantized:
            yield Side(graph)
            return
    if Path(model).is_dir():
        how = _How(None, None, None, None, None, None, None)
    with _networks(console, model, how) as (sides, _):
        yield sides[0]
