"""The command ``edgecnn mixed``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecnn.cli_models import load, recipe, samples_of
from edgecnn.cli_options import (
    BackendOption,
    BoardOption,
    Calibration,
    Cpu,
    InputShape,
    Jobs,
    Json,
    Model,
    Quiet,
    RangesOption,
    RepairOption,
    ResumeFolder,
    Weights,
)
from edgecnn.console import Console, number, percent
from edgecnn.errors import CheckError, UserError

if TYPE_CHECKING:
    from edgecnn.ir import Graph
    from edgecnn.quantization.mixed import WideLayers

#: Points of accuracy that int8 may lose, unless told otherwise.
MAX_DROP = 0.3
#: Samples of the calibration data that the layers are put in order by.
ORDER_SAMPLES = 32


@dataclass(frozen=True)
class Cost:
    """What a network takes on a core: bytes of arena and weights, and cycles of an inference."""

    arena_bytes: int
    weight_bytes: int
    cycles: int | None


def mixed(
    model: Model,
    data: Annotated[
        Path, typer.Option(help="Labelled data: .npz with x and y, or a folder of shards.")
    ],
    calibration: Calibration = None,
    max_drop: Annotated[
        float, typer.Option(min=0.0, help="Points of accuracy that may be lost to float.")
    ] = MAX_DROP,
    accuracy_target: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share to reach, in place of --max-drop.")
    ] = None,
    ranges: RangesOption = None,
    repair: RepairOption = None,
    board: BoardOption = None,
    cpu: Cpu = None,
    input_shape: InputShape = None,
    weights: Weights = None,
    jobs: Jobs = None,
    backend: BackendOption = "threading",
    resume: ResumeFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the fewest layers in 16 bits that keep an accuracy, and what they cost."""
    import edgecnn
    from edgecnn.evaluate import Side, Task, measure
    from edgecnn.fingerprint import fingerprint
    from edgecnn.parallel import Resume, Workers
    from edgecnn.quantization.mixed import ByRecipe, Remembered, fewest_wide_layers
    from edgecnn.sources import open_source
    from firmware_export.device import target
    from firmware_export.scratch import compiled

    console = Console(as_json=as_json, quiet=quiet)
    workers, how = Workers(jobs, backend), recipe(ranges, repair)
    target.choose(cpu, board)
    with console.working("reading the model"):
        graph = load(model, input_shape, weights)
        if graph.is_quantized:
            raise UserError(f"{model} is int8 already; layers in 16 bits are made of a float model")
        feeds = samples_of(graph, model, calibration)
        source = open_source(graph, data)
        key = fingerprint(edgecnn.__version__, "mixed", graph, feeds, how, source.identity())

        def measured(int8: Graph, *others: Side) -> Any:
            console.step("measuring accuracy")
            with compiled(int8) as session:
                sides = [Side(int8, session.run), *others]
                return measure(Task.classification, sides, source, workers)

        wanted, make = accuracy_target, ByRecipe(graph, feeds, how)
        all_int8 = make(frozenset())
        if wanted is None:
            both = measured(all_int8, Side(graph, codes=all_int8))
            wanted = both.float_accuracy - max_drop / 100
        score = Remembered(
            lambda int8: float(measured(int8).int8_accuracy), fingerprint(key, "scores"), resume
        )
        result = fewest_wide_layers(
            graph,
            {name: array[:ORDER_SAMPLES] for name, array in feeds.items()},
            make,
            score,
            wanted,
            workers=workers,
            resume=Resume(fingerprint(key, "order"), resume),
            progress=lambda done, total: console.step(f"each layer alone: {done} of {total}"),
        )
        score.close()
        costs = {"int8": _cost(all_int8, board, cpu, console)}
        if result.layers:
            costs["mixed"] = _cost(result.graph, board, cpu, console)
    if not console.json(_to_json(result, wanted, costs)):
        _show(console, result, wanted, costs)
    if not result.is_reached:
        raise CheckError(
            f"{percent(wanted)} is not reached, with all layers in 16 bits that can be: "
            f"{percent(result.score)} is the best"
        )


def _cost(graph: Graph, board: str | None, cpu: str | None, console: Console) -> Cost:
    """What a network takes with the kernels that its export chooses."""
    from firmware_export.c_writer import Provenance
    from firmware_export.device.profile import profile
    from firmware_export.preparation import Goal, prepare
    from firmware_export.runners.cortex_m import emulation_unavailable
    from firmware_export.scratch import generated

    prepared = prepare(graph.replace(name="network"), Goal(board, cpu), console.step)
    network = prepared.to_c(Provenance("", "", ""))
    cycles = None
    if emulation_unavailable() is None:
        console.step("counting cycles")
        with generated(prepared.graph, chosen=prepared.chosen, stream=prepared.stream) as artifact:
            found = profile(artifact, prepared.target, weight_bytes=network.weight_bytes)
        cycles = found.total.cycles
    return Cost(network.plan.arena_bytes, network.weight_bytes, cycles)


def _to_json(result: WideLayers, wanted: float, costs: dict[str, Cost]) -> dict[str, Any]:
    return {
        "target": wanted,
        "reached": result.is_reached,
        "accuracy": result.score,
        "layers": list(result.layers),
        "gains_db": {gain.layer: gain.gain for gain in result.gains},
        "steps": [
            {"change": s.change, "layers": list(s.layers), "accuracy": s.score}
            for s in result.steps
        ],
        "costs": {name: vars(cost) for name, cost in costs.items()},
    }


def _show(console: Console, result: WideLayers, wanted: float, costs: dict[str, Cost]) -> None:
    rows = [
        [step.change or "(all in 8 bits)", number(len(step.layers)), percent(step.score)]
        for step in result.steps
    ]
    title = f"Layers in 16 bits until {percent(wanted)} are right"
    console.table(title, ["tried", ">layers", ">accuracy"], rows)
    cost_rows = [
        [
            name,
            number(cost.arena_bytes),
            number(cost.weight_bytes),
            "-" if cost.cycles is None else number(cost.cycles),
        ]
        for name, cost in costs.items()
    ]
    console.table("Cost", ["network", ">arena, bytes", ">weights, bytes", ">cycles"], cost_rows)
    if result.layers:
        console.text(f"--wide {','.join(result.layers)}")
    else:
        console.text("no layer needs 16 bits")
