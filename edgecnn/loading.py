"""Finds the front end for a model, and runs the passes on what it reads."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors import ModelFormatError, UserError
from edgecnn.frontends.onnx_inputs import InputShapes
from edgecnn.identifiers import network_name
from edgecnn.ir import Graph, Shape
from edgecnn.passes import pipeline

EXTENSIONS = (".onnx", ".tflite", ".pt2")


def read_bytes(path: Path) -> bytes:
    """The content of a model file, or a `ModelFormatError` that says why not."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelFormatError(f"model file {path} does not exist") from None
    except OSError as error:
        raise ModelFormatError(f"model file {path} cannot be read: {error.strerror}") from None


def load_path(path: str | Path, input_shapes: InputShapes = None) -> Graph:
    """Read a model file and run the passes.

    ``input_shapes`` completes the dynamic inputs of an ``.onnx`` file. Raises
    `ModelFormatError` for a file that is missing, corrupted or of an unknown kind, `UserError`
    for shapes that do not fit it, and `UnsupportedError` with all operators that cannot be read.
    """
    path = Path(path)
    if input_shapes and path.suffix != ".onnx":
        raise UserError(f"{path} has fixed input shapes; only .onnx files can be given others")
    if path.suffix not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise ModelFormatError(
            f"model file {path} has the extension '{path.suffix}'; known are {known} and "
            "package.module:factory"
        )
    data = read_bytes(path)
    if not data:
        raise ModelFormatError(f"model file {path} is empty")
    name = network_name(path.stem)
    try:
        if path.suffix == ".tflite":
            from edgecnn.frontends import tflite

            graph = tflite.load(data, name)
        elif path.suffix == ".onnx":
            from edgecnn.frontends import onnx_file

            graph = onnx_file.load(data, name, input_shapes)
        else:
            torch_export = _torch_front_end()
            graph = torch_export.load_pt2(path, name)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    return pipeline.run(graph, keep_layout=path.suffix == ".tflite")


def require_torch() -> None:
    """Raise `UserError` where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise UserError("PyTorch is not installed: pip install 'edgecnn[torch]'")


def _torch_front_end() -> Any:
    require_torch()
    return importlib.import_module("edgecnn.frontends.torch_export")


def load_module(module: Any, example: Any, name: str = "") -> Graph:
    """Read an ``nn.Module`` with an example input (a tensor, or a tuple of them)."""
    front_end = _torch_front_end()
    import torch

    if not isinstance(module, torch.nn.Module):
        found = type(module).__name__
        raise UserError(f"a model is the path of a file or an nn.Module, not {found}")
    if isinstance(example, torch.Tensor):
        example = (example,)
    chosen = name or network_name(type(module).__name__)
    return pipeline.run(front_end.load_module(module, tuple(example), chosen))


def build_module(reference: str, weights: str | Path | None = None) -> Any:
    """Call ``package.module:factory`` and load a state dict, tensors only (``weights_only``).

    Raises `UserError` where the module, the factory or the weights are not what they should be.
    """
    _torch_front_end()
    import torch

    module_name, _, factory_name = reference.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
        module = factory()
    except Exception as error:  # whatever the user's own code raises
        raise UserError(f"{reference}: {type(error).__name__}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{reference} gave a {type(module).__name__}; an nn.Module is needed")
    if weights is not None:
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            module.load_state_dict(state)
        except Exception as error:  # unpickling and mismatches have no common class
            first = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
            raise UserError(f"--weights {weights}: {first}") from error
    return module


def load_factory(
    reference: str, input_shapes: Sequence[Shape], weights: str | Path | None = None
) -> Graph:
    """Read the module that ``package.module:factory`` returns, for inputs of some shapes."""
    if not input_shapes:
        raise UserError(f"{reference} needs --input-shape, for example --input-shape 1,3,32,32")
    module = build_module(reference, weights)
    import torch

    example = tuple(torch.zeros(shape) for shape in input_shapes)
    return load_module(module, example, network_name(reference.partition(":")[2]))
