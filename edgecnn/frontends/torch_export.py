"""Reads PyTorch networks: an ``nn.Module`` through ``torch.export``, or a saved ``.pt2`` file.

Both give an ``ExportedProgram``. Its graph is walked as it is, with the high-level ATen operators
that ``torch.export.export`` leaves as well as the core ones that a decomposed program has.
Importers of single operators are in ``edgecnn/frontends/ops``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.naming import restore_constant_names
from edgecnn.ir import Graph, prune

if TYPE_CHECKING:
    from torch import Tensor, fx, nn
    from torch.export import ExportedProgram


@contextlib.contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Switch to inference, and each submodule back to its own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the deprecation warnings and log lines of torch.export to itself."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _one_sample(example: Tensor) -> Tensor:
    return example[:1] if example.dim() >= 2 and example.shape[0] > 1 else example


def load_module(module: nn.Module, example_inputs: tuple[Tensor, ...], name: str) -> Graph:
    """Import a module in eval mode.

    ``example_inputs`` are what ``module(*example_inputs)`` takes, the batch in the first
    dimension: only their shapes and types count, and of a larger batch only the first sample.
    The module keeps its training flags, parameters and buffers. Parameters that are not float32
    are rounded to it. Raises `UnsupportedError` with all operators that have no counterpart, and
    `ModelFormatError` where torch.export cannot capture the module.
    """
    return _import(capture(module, example_inputs), name, "")


def capture(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """The program of a module in eval mode for one sample, as `load_module` imports it."""
    import torch

    examples = tuple(_one_sample(example) for example in example_inputs)
    try:
        with _in_eval_mode(module), torch.no_grad(), _quiet():
            return torch.export.export(module, examples)
    except Exception as error:  # whatever the module's own forward raises comes through here
        raise ModelFormatError(
            f"torch.export cannot capture {type(module).__name__}: {_first_line(error)}; make "
            "forward() free of control flow that depends on values, and check the input's shape"
        ) from error


def load_pt2(path: str | os.PathLike[str], name: str) -> Graph:
    """Import a file that ``torch.export.save`` wrote; a dynamic batch dimension becomes 1.

    The reading is ``torch.export.load``, no safer than it is: a ``.pt2`` file is a program, so
    open only those that you would run. Files that are not ``.pt2`` archives (pickled modules,
    state dictionaries) are refused before torch sees them. Raises `ModelFormatError`, or
    `UnsupportedError` with all operators that have no counterpart.
    """
    import torch

    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ModelFormatError(f"cannot read '{path}': {error.strerror or error}") from error
    _check_archive(data, path)
    try:
        with _quiet():
            program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # the reader raises whatever a wrong byte leads to
        raise ModelFormatError(
            f"'{path}' is not a readable .pt2 file: {_first_line(error)}"
        ) from error
    return _import(program, name, hashlib.sha256(data).hexdigest())


def _check_archive(data: bytes, path: str | os.PathLike[str]) -> None:
    hint = f"'{path}' is not a .pt2 file; save one with torch.export.save(program, path)"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise ModelFormatError(hint) from error
    if damaged is not None:
        raise ModelFormatError(f"'{path}' is corrupted at {damaged}")
    if not any(name.split("/")[-1] == "archive_format" for name in names):
        raise ModelFormatError(hint)


#: Operators whose result is new memory: writing into it changes nothing else.
_FRESH = (
    "conv2d", "convolution", "batch_norm", "_native_batch_norm_legit_no_training", "linear",
    "addmm", "add", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "relu", "hardtanh",
)  # fmt: skip


def _is_mutating(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _writes_unseen(node: fx.Node) -> bool:
    """Whether an in-place operator writes to a tensor that nothing else looks at."""
    target: Any = node.args[0]
    if len(target.users) != 1:
        return False
    base = getattr(target.target, "__name__", "").split(".")[0]
    return base in _FRESH or _is_mutating(target)


def functional(program: ExportedProgram) -> ExportedProgram:
    """Rewrite what hides data flow: writes to tensors that have other views, nested graphs.

    ``run_decompositions({})`` does that and decomposes nothing that has an importer.
    """
    nodes = list(program.graph.nodes)
    hidden = any(_is_mutating(node) and not _writes_unseen(node) for node in nodes)
    if not hidden and not any(node.op == "get_attr" for node in nodes):
        return program
    with _quiet():
        return program.run_decompositions({})


def _program_sha256(program: ExportedProgram) -> str:
    """A digest of the operators and of all parameters, the same for the same network."""
    digest = hashlib.sha256(str(program.graph).encode())
    for key, tensor in sorted(program.state_dict.items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().double().numpy().tobytes())
    return digest.hexdigest()


def _import(program: ExportedProgram, name: str, sha256: str) -> Graph:
    from edgecnn.frontends.aten_walker import Walker

    digest = sha256 or _program_sha256(program)
    walker = Walker(functional(program), name)
    walker.run()
    graph = prune(walker.builder.finish(digest))
    _check_ends(graph)
    return restore_constant_names(graph, walker.entered)


def _check_ends(graph: Graph) -> None:
    if not graph.inputs or not graph.outputs:
        raise ModelFormatError("the network has no input or no output that is a tensor")
    if len(set(graph.outputs)) < len(graph.outputs):
        raise ModelFormatError("the network returns the same tensor twice; return it once")
