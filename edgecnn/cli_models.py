"""Reads the models and data that commands name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import DataError, GeneratedCodeError, ModelFormatError, UserError

if TYPE_CHECKING:
    from edgecnn.cli_options import Ranges
    from edgecnn.console import Console
    from edgecnn.ir import Array, Graph
    from edgecnn.quantization.recipe import Recipe


def load(model: str, input_shape: list[str] | None, weights: Path | None) -> Any:
    """A graph from a file or a factory."""
    from edgecnn import loading
    from edgecnn.shape_options import input_shapes, parse_shape

    is_factory = ":" in model and not Path(model).exists()
    if is_factory:
        return loading.load_factory(
            model, [parse_shape(text) for text in input_shape or []], weights
        )
    if weights:
        raise UserError(f"--weights goes with package.module:factory; {model} is a file")
    if input_shape and Path(model).suffix != ".onnx":
        raise UserError(f"--input-shape goes with module:factory and .onnx; {model} is neither")
    return loading.load_path(model, input_shapes(input_shape or []))


def source(model: str) -> bytes | None:
    """The bytes of a ``.tflite`` model, which the oracle can run by itself."""
    path = Path(model)
    return path.read_bytes() if path.suffix == ".tflite" else None


def recipe(ranges: Ranges | None, repairs: str | None, wide: str | None = None) -> Recipe:
    """How to quantize, from the options; `UserError` for unknown words."""
    from edgecnn.quantization.recipe import AUTO, Recipe

    layers = [name.strip() for name in (wide or "").split(",") if name.strip()]
    return Recipe.parse(ranges.value if ranges else AUTO, repairs or "all", layers)


def samples_of(
    graph: Graph, model: str, calibration: Path | None, count: int | None = None
) -> dict[str, Array]:
    """The first ``count`` calibration samples of a float model, or all, in its layout."""
    from edgecnn.data import to_feeds
    from edgecnn.sources import open_source

    if calibration is None:
        raise DataError(f"{model} is a float model: it needs --calibration FILE (.npy or .npz)")
    source = open_source(graph, calibration)
    used = len(source) if count is None else min(count, len(source))
    x = source.samples.inputs(slice(0, used))
    return to_feeds(graph, x, f"the calibration data in {calibration}")


def quantize(
    graph: Any,
    model: str,
    calibration: Path | None,
    recipe: Recipe,
    console: Console,
    samples: int | None = None,
) -> Any:
    """An int8 graph; and where it was made here, how, and of which samples.

    Of the calibration data the first ``samples`` are read, or all.
    """
    from edgecnn.quantization.recipe import quantize_by_recipe
    from edgecnn.support import require_supported

    require_supported(graph)
    if graph.is_quantized:
        if calibration is not None:
            console.note(f"{model} is int8 already: --calibration is not used")
        return graph, None, None
    feeds = samples_of(graph, model, calibration, samples)
    made = quantize_by_recipe(graph, feeds, recipe, console.step)
    require_supported(made.graph)
    return made.graph, made, feeds


def labelled(graph: Any, path: Path | None) -> Any:
    """Labelled samples in the layout and type of a graph; two times None without a file."""
    if path is None:
        return None, None
    from edgecnn.data import check_labels, load_file, to_feeds

    x, y = load_file(path, graph.inputs)
    feeds = to_feeds(graph, x, f"the data in {path}")
    return feeds, check_labels(y, len(next(iter(feeds.values()))), path)


@contextmanager
def folder_blamed(target: str) -> Iterator[None]:
    """Say that an exported folder is at fault where its C, which we wrote whole, is broken."""
    try:
        yield
    except GeneratedCodeError as error:
        if not Path(target).is_dir():
            raise
        raise ModelFormatError(f"{target} is no sound export any more: {error}") from error


def command(words: list[tuple[str, Any]], models: list[str]) -> str:
    """The command for the record: without the folder that it wrote to, and without folders."""
    options = [
        flag if each is True else f"{flag} {Path(str(each)).name}"
        for flag, value in words
        for each in (value if isinstance(value, list) else [value])
        if each
    ]
    return " ".join(["edgecnn export", *(Path(model).name for model in models), *options])
