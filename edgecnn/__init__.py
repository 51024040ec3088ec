"""edgecnn: trained CNN in, int8 ``.tflite`` and C for Cortex-M out, every byte checked.

>>> import numpy as np, tempfile, torch, edgecnn
>>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(),
...                              torch.nn.Linear(4 * 6 * 6, 10))
>>> graph = edgecnn.load(module, torch.zeros(1, 1, 8, 8))
>>> int8 = edgecnn.quantize(graph, np.random.default_rng(0).random((20, 1, 8, 8)))
>>> result = edgecnn.export(int8, tempfile.mkdtemp() + "/build", board="frdm-k64f")
>>> result.parity.passed
True
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecnn.ir import Graph
    from edgecnn.qat.module import QatModule
    from firmware_export.export import ExportResult

try:
    __version__ = version("edgecnn")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+source"

__all__ = ["__version__", "convert", "export", "load", "prepare_qat", "quantize"]


def load(model: Any, example: Any = None, *, input_shapes: Any = None) -> Graph:
    """Read a trained network.

    ``model`` is the path of an ``.onnx``, ``.tflite`` or ``.pt2`` file, or an ``nn.Module`` with an
    ``example`` input: a tensor of shape (1, …), or a tuple of tensors. ``input_shapes``
    completes the dynamic inputs of an ``.onnx`` file: shapes in the inputs' order, or a mapping
    from their names. Returns a graph in NHWC, float, or int8 where the file is. Raises
    `edgecnn.errors.UserError` for anything that cannot be read, with all unsupported operators
    named.
    """
    from edgecnn import loading
    from edgecnn.errors import UserError

    if isinstance(model, str | Path):
        return loading.load_path(model, input_shapes)
    if example is None:
        raise UserError("an nn.Module needs an example input: load(module, torch.zeros(1, …))")
    return loading.load_module(model, example)


def quantize(
    graph: Graph,
    calibration: Iterable[Any],
    *,
    ranges: str = "auto",
    repair: str = "all",
    wide: Iterable[str] = (),
) -> Graph:
    """Quantize a float graph to int8.

    ``calibration`` is an array (samples, …), or any iterable of arrays or tensors, samples or
    batches, in the layout and the units of the model as given. ``ranges`` says how the range of an
    activation is chosen: ``"minmax"``, ``"percentile"``, ``"mse"``, ``"entropy"``, or ``"auto"``,
    which takes the one of these that changes the network's outputs least. ``repair`` is ``"all"``,
    ``"none"``, or some of ``"equalize,rounding,bias"``. Layers whose names (those of their outputs)
    are in ``wide`` are computed with int16 activations, TFLite's 16x8 scheme; inputs and outputs
    of the network stay int8. An int8 graph is returned as it is. Raises `edgecnn.errors.DataError`
    for data that are empty, misshapen or not finite, and `edgecnn.errors.UserError` for an unknown
    word, a name that no layer has, or one whose operator has no form in 16 bits.
    """
    from edgecnn.data import to_feeds
    from edgecnn.quantization.recipe import Recipe, quantize_by_recipe
    from edgecnn.support import require_supported

    recipe = Recipe.parse(ranges, repair, [wide] if isinstance(wide, str) else wide)
    if graph.is_quantized:
        return graph
    require_supported(graph)
    int8 = quantize_by_recipe(graph, to_feeds(graph, calibration), recipe).graph
    require_supported(int8)
    return int8


def prepare_qat(
    module: Any,
    example: Any = None,
    *,
    range_batches: int = 8,
    freeze_batch_norm_after: int | None = None,
) -> QatModule:
    """Make an ``nn.Module`` ready for quantization-aware training.

    The result is an ``nn.Module`` that computes what ``module`` does, rounded as its int8 network
    will be: train it, and `convert` it. It trains the parameters of ``module`` itself, which keep
    their names (behind ``module.``), and a range for each int8 tensor. It takes part in what torch
    does with modules: ``train``, ``eval``, ``state_dict``, ``to``, DistributedDataParallel (where
    the ranges and running statistics are means over the processes). What ``module`` does in
    training only, other than dropout and batch normalization, is left out.

    >>> import torch, edgecnn
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4),
    ...                              torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    >>> network = edgecnn.prepare_qat(module).train()
    >>> optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    >>> for x, y in [(torch.randn(16, 1, 8, 8), torch.arange(16) % 10)] * 3:
    ...     optimizer.zero_grad()
    ...     torch.nn.functional.cross_entropy(network(x), y).backward()
    ...     optimizer.step()
    >>> edgecnn.convert(network).is_quantized
    True

    ``example`` is an input (1, …), or a tuple of several; without one the first batch tells the
    shapes. The ranges are found on the first ``range_batches`` batches of training, then learned.
    From batch ``freeze_batch_norm_after`` on, batch normalization uses its running statistics and
    keeps them; by default it never does. Raises `edgecnn.errors.UserError` for what cannot be
    exported or trained, here or with the first batch.
    """
    from edgecnn import loading

    loading.require_torch()
    from edgecnn.qat.module import prepare

    return prepare(
        module,
        example,
        range_batches=range_batches,
        freeze_batch_norm_after=freeze_batch_norm_after,
    )


def convert(module: Any, name: str = "") -> Graph:
    """The int8 graph of a module that `prepare_qat` gave and that has been trained.

    The same as `quantize` gives, with the trained weights and ranges. ``module`` may be wrapped in
    DistributedDataParallel. ``name`` is that of the graph: by default the class of the module.
    """
    from edgecnn import loading

    loading.require_torch()
    from edgecnn.qat.module import convert as to_int8

    return to_int8(module, name)


def export(graph: Graph, directory: str | Path, **options: Any) -> ExportResult:
    """Write an int8 graph as ``.tflite`` and C, verify it, and report.

    See `firmware_export.export.export` for the options (``name``, ``board``, …) and the result.
    """
    from firmware_export.export import export as write

    return write(graph, directory, **options)
