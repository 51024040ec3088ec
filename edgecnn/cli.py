"""The command line. Here, in ``cli_*.py`` and ``__init__.py``, the two packages meet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from edgecnn.cli_evaluate import evaluate
from edgecnn.cli_mixed import mixed
from edgecnn.cli_models import command, folder_blamed, labelled, load, quantize, recipe, source
from edgecnn.cli_options import (
    BoardOption,
    Calibrations,
    Compiler,
    Cpu,
    Feed,
    FeedOption,
    InputShape,
    Json,
    KeepChannels,
    Model,
    Models,
    Optimize,
    OptimizeOption,
    Quiet,
    RamLimit,
    RangesOption,
    RepairOption,
    SharedArena,
    Weights,
    WideOption,
)
from edgecnn.cli_profile import profile
from edgecnn.console import Console, number, print_error
from edgecnn.display import (
    show_analysis,
    show_export,
    show_parity,
    show_profile,
    show_shared_export,
)
from edgecnn.errors import (
    CheckError,
    EdgecnnError,
    FitError,
    ParityError,
    UnsupportedError,
    UserError,
)
from edgecnn.several import for_each, require_one_or_shared

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Turn a trained CNN into an int8 .tflite and plain C for Cortex-M, every byte checked.",
)


@contextmanager
def _parity_reported(console: Console) -> Iterator[None]:
    """Print the report of a failed verification as JSON, if asked for, before the error."""
    try:
        yield
    except ParityError as error:
        console.json({"verify": error.report})
        raise


def _require_fit(result: Any) -> None:
    """Raise `FitError` with the numbers where an export does not fit its board."""
    if result.fit is not None and not result.fit.fits:
        raise FitError(f"{result.name} does not fit {result.board}: {result.fit.explain()}")


# --- commands ---------------------------------------------------------------------------------


@app.command()
def export(
    model: Models,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    calibration: Calibrations = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Labelled data: .npz with x and y.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of the network in C and of its files.")
    ] = None,
    board: BoardOption = None,
    cpu: Cpu = None,
    optimize: OptimizeOption = Optimize.balanced,
    ram_limit: RamLimit = None,
    feed: FeedOption = Feed.input,
    ranges: RangesOption = None,
    repair: RepairOption = None,
    wide: WideOption = None,
    float_io: Annotated[
        bool,
        typer.Option("--float-io", help="float32 in and out: of the .tflite, and also of the C."),
    ] = False,
    keep_channels: KeepChannels = False,
    shared_arena: SharedArena = False,
    input_shape: InputShape = None,
    weights: Weights = None,
    runners: Annotated[str | None, typer.Option(help="Runners to verify with.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Random samples to verify with.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random samples.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Quantize if need be, write .tflite and C, verify every byte, report.

    Several models are exported together with --shared-arena; --calibration (of the float ones),
    --data and --name are then given once for each, in their order.
    """
    from firmware_export.export import Evidence
    from firmware_export.shared_arena import Network, export_together

    console = Console(as_json=as_json, quiet=quiet)
    reading = {"--input-shape": input_shape, "--weights": weights}
    require_one_or_shared(
        model, shared_arena=shared_arena, reading=[k for k, value in reading.items() if value]
    )
    names, data_of = for_each("--name", name, model), for_each("--data", data, model)
    how = recipe(ranges, repair, wide)
    with _parity_reported(console), console.working("reading the model"):
        graphs = {each: load(each, input_shape, weights) for each in model}
        floats = [each for each, graph in graphs.items() if not graph.is_quantized]
        calibrated = model if len(model) == 1 else floats
        calibration_of = for_each("--calibration", calibration, calibrated, "float model")
        console.step("quantizing")
        networks = []
        for each, graph in graphs.items():
            int8, made, feeds = quantize(graph, each, calibration_of.get(each), how, console)
            x, y = labelled(graph, data_of[each])
            proof = Evidence(None if made is None else graph, feeds, x, y, made)
            given = source(each) if made is None else None
            networks.append(Network(int8, names[each] or "", proof, given))
        words = [
            ("--calibration", calibration),
            ("--data", data),
            ("--name", name),
            ("--board", board),
            ("--cpu", cpu),
            ("--optimize", optimize.value),
            ("--ram-limit", ram_limit),
            ("--feed", feed.value if feed is Feed.rows else ""),
            ("--calibration-method", how.ranges if floats else ""),
            ("--repair", repair if floats else ""),
            ("--wide", wide if floats else ""),
            ("--float-io", float_io),
            ("--keep-channels", keep_channels),
            ("--shared-arena", shared_arena),
            ("--input-shape", " ".join(input_shape or [])),
            ("--weights", weights),
        ]
        options: dict[str, Any] = {
            "board": board,
            "cpu": cpu,
            "optimize": optimize.value,
            "ram_limit": ram_limit,
            "feed": feed.value,
            "float_io": float_io,
            "remove_channels": not keep_channels,
            "runners": runners,
            "samples": samples,
            "seed": seed,
            "command": command(words, model),
            "step": console.step,
        }
        result: Any
        if shared_arena:
            result = export_together(networks, output, **options)
        else:
            result = networks[0].export(output, **options)
    if not console.json(result.to_json()):
        (show_shared_export if shared_arena else show_export)(console, result)
    _require_fit(result)


@app.command()
def verify(
    target: Annotated[str, typer.Argument(help="Exported folder, or an int8 .tflite file.")],
    runners: Annotated[str | None, typer.Option(help="Comma-separated runners; all.")] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="Inputs to use: .npy, or .npz with x.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Random samples, besides three extremes.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random samples.")] = 0,
    compiler: Compiler = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare every tensor on every runner with TensorFlow Lite Micro, byte by byte."""
    from edgecnn.data import load_file, to_feeds
    from edgecnn.float_io import to_float_feeds
    from edgecnn.parity import draw_feeds
    from edgecnn.parity import verify as compare
    from firmware_export.runners import select

    console = Console(as_json=as_json, quiet=quiet)
    chosen = select(runners, compiler)
    with console.working("loading"), folder_blamed(target), _artifact(target) as artifact:
        if inputs is None:
            feeds = draw_feeds(artifact, samples, seed)
        else:
            x, _ = load_file(inputs, artifact.graph.inputs)
            convert = to_float_feeds if artifact.float_io else to_feeds
            feeds = convert(artifact.graph, x, f"the inputs in {inputs}")

        def progress(done: int, total: int) -> None:
            console.step(f"verified {done} of {total} samples")

        report = compare(artifact, chosen, feeds, progress=progress)
    if not console.json(report.to_json()):
        show_parity(console, report)
    if not report.passed:
        raise CheckError(report.summary())


@contextmanager
def _artifact(target: str) -> Iterator[Any]:
    """An exported folder, or an int8 file with C made for the occasion."""
    from edgecnn import loading
    from edgecnn.support import require_supported
    from firmware_export import manifest
    from firmware_export.scratch import generated

    path = Path(target)
    if path.is_dir():
        yield manifest.open_export(path)
        return
    graph = loading.load_path(path)
    if not graph.is_quantized or path.suffix != ".tflite":
        raise UserError(f"{target} is not int8: verify takes an exported folder or an int8 .tflite")
    require_supported(graph)
    with generated(graph, path.read_bytes()) as artifact:
        yield artifact


app.command()(evaluate)


@app.command()
def analyze(
    model: Model,
    board: BoardOption = None,
    cpu: Cpu = None,
    optimize: OptimizeOption = Optimize.balanced,
    ram_limit: RamLimit = None,
    feed: FeedOption = Feed.input,
    keep_channels: KeepChannels = False,
    input_shape: InputShape = None,
    weights: Weights = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Operators, MACs, parameters, RAM and flash, and the boards that a network fits.

    The options are those of export, and so is the arena that comes out.
    """
    from firmware_export.analysis import analyze as look
    from firmware_export.analysis import only_problems
    from firmware_export.preparation import Goal

    console = Console(as_json=as_json, quiet=quiet)
    try:
        with console.working("reading the model"):
            graph = load(model, input_shape, weights)
            goal = Goal(board, cpu, optimize.value, ram_limit, feed.value, not keep_channels)
            analysis = look(graph, goal, console.step)
    except UnsupportedError as error:
        console.json(only_problems(error))
        raise
    if not console.json(analysis.to_json()):
        show_analysis(console, analysis)


app.command()(profile)
app.command()(mixed)


@app.command()
def ops(as_json: Json = False, quiet: Quiet = False) -> None:
    """The operators that are supported, and where."""
    from firmware_export.support_table import COLUMNS, rows

    console = Console(as_json=as_json, quiet=quiet)
    table = rows()
    if not console.json({row[0]: dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in table}):
        console.table("Operators", COLUMNS, table)


@app.command()
def boards(as_json: Json = False, quiet: Quiet = False) -> None:
    """The boards whose memory and clock are known."""
    from firmware_export.boards import all_boards

    console = Console(as_json=as_json, quiet=quiet)
    known = all_boards()
    if not console.json({name: board.to_json() for name, board in known.items()}):
        rows = [
            [
                b.name,
                b.core,
                f"{b.clock_hz / 1e6:g} MHz",
                number(b.flash_bytes),
                number(b.ram_bytes),
                number(b.wait_states),
            ]
            for b in known.values()
        ]
        columns = ["board", "core", ">clock", ">flash", ">RAM", ">flash wait states"]
        console.table("Boards", columns, rows)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "demo"
    ),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a small residual network on digits and run the main job for the FRDM-K64F."""
    from firmware_export.demo import run

    console = Console(as_json=as_json, quiet=quiet)
    with _parity_reported(console), console.working("training"):
        result = run(output, console.step)
    if not console.json(result.to_json()):
        show_export(console, result)
        if result.profile is not None:
            show_profile(console, result.profile)
    _require_fit(result)


def _version(wanted: bool) -> None:
    if wanted:
        import edgecnn

        typer.echo(f"edgecnn {edgecnn.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a trained CNN into an int8 .tflite and plain C for Cortex-M, every byte checked."""


def main() -> None:
    """Run the command line and exit with its status; no traceback for a user's mistake."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; return 0, 1 (a check failed), 2 (wrong input) or 70 (our fault)."""
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except EdgecnnError as error:
        print_error(str(error))
        return error.exit_code
    except TyperException as error:
        print_error(error.format_message() or "no command is given")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if os.environ.get("EDGECNN_DEBUG"):
            raise
        print_error(
            f"{type(error).__name__}: {error} (a fault of edgecnn; EDGECNN_DEBUG=1 shows where)"
        )
        return EdgecnnError.exit_code
