"""Arguments and options that commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Optimize(StrEnum):
    """What the generated C is chosen for."""

    speed = "speed"
    balanced = "balanced"
    memory = "memory"


class Feed(StrEnum):
    """How the generated C takes its input."""

    input = "input"
    rows = "rows"


class Ranges(StrEnum):
    """How activation ranges are chosen from calibration data."""

    auto = "auto"
    minmax = "minmax"
    percentile = "percentile"
    mse = "mse"
    entropy = "entropy"


Model = Annotated[str, typer.Argument(help="file.onnx, file.tflite, file.pt2 or module:factory")]
Models = Annotated[
    list[str], typer.Argument(help="file.onnx, file.tflite, file.pt2 or module:factory")
]
SharedArena = Annotated[
    bool,
    typer.Option(
        "--shared-arena", help="Export several models for one firmware: each into DIR/NAME."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
_CALIBRATION = typer.Option(help="Inputs to calibrate a float model with: .npy, or .npz with x.")
Calibration = Annotated[Path | None, _CALIBRATION]
Calibrations = Annotated[list[Path] | None, _CALIBRATION]
InputShape = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        help="1,3,32,32 for module:factory and dynamic .onnx inputs, there also NAME:1,3,32,32.",
    ),
]
Weights = Annotated[
    Path | None, typer.Option(help="State dict for package.module:factory (tensors only).")
]
RangesOption = Annotated[
    Ranges | None,
    typer.Option(
        "--calibration-method",
        "--ranges",
        help="How ranges of activations are chosen; auto tries all and takes the best for each.",
        show_default="auto",
    ),
]
RepairOption = Annotated[
    str | None,
    typer.Option(
        "--repair",
        help="What int8 is repaired with: all, none, or some of equalize,rounding,bias.",
        show_default="all",
    ),
]
WideOption = Annotated[
    str | None,
    typer.Option("--wide", help="Layers in 16 bits, by their outputs' names, with commas between."),
]
BoardOption = Annotated[
    str | None, typer.Option(help="A name of 'edgecnn boards', or a TOML file of your own.")
]
Cpu = Annotated[str | None, typer.Option(help="Core, where there is no board.")]
OptimizeOption = Annotated[Optimize, typer.Option(help="What to choose kernels for.")]
RamLimit = Annotated[
    int | None,
    typer.Option(help="Largest arena in bytes: layers run in bands of rows where need be."),
]
FeedOption = Annotated[
    Feed, typer.Option(help="Whether the C takes the whole input, or row by row as it comes.")
]
KeepChannels = Annotated[
    bool, typer.Option("--keep-channels", help="Keep channels that no output depends on.")
]
Compiler = Annotated[
    str | None,
    typer.Option(
        help="clang (of the package ziglang) or gcc (arm-none-eabi-gcc).", show_default="clang"
    ),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Workers.", show_default="one a core")]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        help="What workers are: threading, loky, multiprocessing, dask or ray.",
    ),
]
ResumeFolder = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        help="Folder to keep finished pieces in, and to go on from.",
        show_default="the user's cache, until all is done",
    ),
]
