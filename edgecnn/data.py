"""Reads and checks calibration and evaluation data, and brings them into a graph's layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.fixedpoint import quantize
from edgecnn.ir import FLOAT32, INT8, Array, Graph, Shape
from edgecnn.samples import LABELS, open_samples


def user_shape(graph: Graph, name: str) -> Shape:
    """Shape of an input as the user gives it: NCHW where the model came from torch."""
    shape = graph.tensors[name].shape
    permutation = graph.input_permutations.get(name)
    if permutation is None:
        return shape
    inverse = np.argsort(permutation)
    return tuple(shape[axis] for axis in inverse)


def load_file(
    path: str | Path, inputs: Sequence[str] = ()
) -> tuple[Array | dict[str, Array], Array | None]:
    """Read a file or a folder of samples as `open_samples` does, whole: inputs, and labels."""
    samples = open_samples(path, inputs)
    if len(samples.shards) == 1:  # a lone sample may have no axis for more
        columns = {name: c.as_stored() for name, c in samples.shards[0].columns.items()}
        x = {name: columns[name] for name in samples.names}
        return x if len(x) > 1 else x[samples.names[0]], columns.get(LABELS)
    whole = slice(0, len(samples))
    return samples.inputs(whole), samples.labels(whole)


def _to_array(item: Any) -> Array:
    """An array from whatever holds numbers; torch tensors leave their device and graph."""
    if hasattr(item, "detach"):
        item = item.detach().cpu().numpy()
    try:
        return np.asarray(item)
    except ValueError as error:
        raise DataError(f"the data cannot be made an array: {error}") from error


def one_sample(shape: Shape) -> Shape:
    """The shape of one sample, without a batch axis of 1."""
    return shape[1:] if shape[:1] == (1,) else shape


def check_samples(found: Shape, dtype: Any, shape: Shape, what: str) -> None:
    """Raise `DataError` unless arrays hold samples of the shape of an input, as numbers."""
    if np.dtype(dtype).kind not in "fiub":
        raise DataError(f"{what} are of type {np.dtype(dtype)}; numbers are needed")
    if 0 in found:
        raise DataError(f"{what} are empty (shape {found})")
    if found[1:] not in (one_sample(shape), shape):
        wanted = ", ".join(map(str, one_sample(shape)))
        raise DataError(f"{what} have shape {found}; the network takes (samples, {wanted})")


def _samples(array: Array, shape: Shape, what: str) -> Array:
    """One sample or many as (samples, *shape); a batch axis of 1 may be left out."""
    if array.shape == one_sample(shape):
        array = array[None]
    check_samples(array.shape, array.dtype, shape, what)
    return array.reshape(len(array), *shape)


def _in_graph_layout(graph: Graph, name: str, array: Array, what: str) -> Array:
    """(samples, *shape) of one input, in the graph's layout and type, checked."""
    samples = _samples(array, user_shape(graph, name), what)
    permutation = graph.input_permutations.get(name)
    if permutation is not None:
        samples = samples.transpose(0, *(axis + 1 for axis in permutation))
    tensor = graph.tensors[name]
    if samples.dtype == np.int8 and tensor.dtype == INT8:
        return np.ascontiguousarray(samples)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        reals = np.ascontiguousarray(samples, np.float32)
    if not np.isfinite(reals).all():
        raise DataError(f"{what} hold NaN or infinite values")
    if tensor.dtype == FLOAT32:
        return reals
    return quantize(reals, tensor.scale, tensor.zero_point)


def to_feeds(graph: Graph, data: Any, what: str = "the calibration data") -> dict[str, Array]:
    """Bring data into the form that the simulator and the runners take.

    ``data`` is an array (one sample or many), a mapping from input names to arrays, or any
    iterable of samples or batches, each an array, a torch tensor, or for networks with several
    inputs a sequence or mapping of them. A (input, label) pair of a labelled data set counts as
    its input. Returns {input: (samples, *shape)} in the graph's layout: float32 for a float
    graph; for an int8 graph int8, which reals are quantized to. Raises `DataError` for data that
    are empty, misshapen, not numbers or not finite.
    """
    names = graph.inputs
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing:
            raise DataError(f"{what} have nothing for input '{missing[0]}'")
        columns = [_to_array(data[name]) for name in names]
        return _aligned(
            graph,
            [_in_graph_layout(graph, n, c, what) for n, c in zip(names, columns, strict=True)],
            what,
        )
    if hasattr(data, "shape"):
        if len(names) != 1:
            raise DataError(f"the network has inputs {', '.join(names)}; {what} must name them")
        return {names[0]: _in_graph_layout(graph, names[0], _to_array(data), what)}
    try:
        items = iter(data)
    except TypeError:
        found = type(data).__name__
        raise DataError(f"{what} are {found}; an array or an iterable is needed") from None
    return _from_items(graph, items, what)


def _from_items(graph: Graph, data: Iterable[Any], what: str) -> dict[str, Array]:
    parts = []
    for item in data:
        sample = _unlabelled(graph, item)
        if not isinstance(sample, Mapping):
            sample = _to_array(sample)
        parts.append(to_feeds(graph, sample, what))
    if not parts:
        raise DataError(f"{what} are empty")
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.inputs}


def _unlabelled(graph: Graph, item: Any) -> Any:
    """One item of an iterable without its label: an array, or a mapping for several inputs."""
    if not isinstance(item, list | tuple) or not item:
        return item
    first = item[0]
    if len(graph.inputs) > 1:
        if isinstance(first, Mapping):
            return first
        inputs = first if isinstance(first, list | tuple) else item
        return dict(zip(graph.inputs, inputs, strict=False))
    return first if getattr(first, "shape", ()) else item


def _aligned(graph: Graph, columns: list[Array], what: str) -> dict[str, Array]:
    if len({len(column) for column in columns}) > 1:
        raise DataError(f"{what} have different numbers of samples for the inputs")
    return dict(zip(graph.inputs, columns, strict=True))


def check_labels(labels: Array | None, samples: int, path: str | Path) -> Array:
    """Integer labels, one a sample, as int64; else `DataError`."""
    if labels is None:
        raise DataError(f"data file {path} has no labels: an .npz with 'x' and 'y' is needed")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(f"the labels of {path} are not a list of integers")
    if len(labels) != samples:
        raise DataError(f"data file {path} has {samples} samples but {len(labels)} labels")
    return labels.astype(np.int64)
