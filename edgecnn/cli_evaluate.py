"""The command ``edgecnn evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli_models import folder_blamed, labelled, load, quantize, recipe
from edgecnn.cli_options import (
    Calibration,
    InputShape,
    Json,
    Quiet,
    RangesOption,
    RepairOption,
    Weights,
)
from edgecnn.console import Console
from edgecnn.display import show_accuracy
from edgecnn.errors import UserError


def evaluate(
    model: Annotated[str, typer.Argument(help="Model as for export, or an exported folder.")],
    data: Annotated[Path, typer.Option(help="Labelled data: .npz with x and y.")],
    calibration: Calibration = None,
    ranges: RangesOption = None,
    repair: RepairOption = None,
    input_shape: InputShape = None,
    weights: Weights = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy of float and int8 on labelled data."""
    from edgecnn.evaluate import evaluate as measure
    from firmware_export import manifest
    from firmware_export.scratch import compiled

    console = Console(as_json=as_json, quiet=quiet)
    with console.working("loading"), folder_blamed(model):
        if Path(model).is_dir():
            given = {
                "--calibration": calibration,
                "--calibration-method": ranges,
                "--repair": repair,
                "--input-shape": input_shape,
                "--weights": weights,
            }
            _refuse_with_folder(model, [option for option, value in given.items() if value])
            artifact = manifest.open_export(Path(model))
            int8, float_graph = artifact.graph, None
        else:
            graph = load(model, input_shape, weights)
            how = recipe(ranges, repair)
            int8, made, _ = quantize(graph, model, calibration, how, console)
            float_graph = None if made is None else graph
            artifact = None
        x, y = labelled(float_graph or int8, data)
        console.step("compiling for this machine")
        with compiled(int8, artifact) as session:
            console.step("running")
            accuracy = measure(int8, session.run_on_all_cores, x, y, float_graph=float_graph)
    if not console.json(accuracy.to_json()):
        show_accuracy(console, accuracy)


def _refuse_with_folder(folder: str, options: list[str]) -> None:
    """Raise `UserError` for options that say how to read a model, where there is none to read."""
    if options:
        raise UserError(
            f"{options[0]} says how to read or quantize a model; {folder} is an exported folder, "
            f"whose network is int8 already: leave {options[0]} out, or name the model"
        )
