"""Where an evaluation takes its samples from, part by part: files, or arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgecnn.data import check_samples, one_sample, to_feeds, user_shape
from edgecnn.fingerprint import fingerprint
from edgecnn.ir import Array, Graph, Tensor, with_tensors
from edgecnn.samples import FileSamples, open_samples


class Source(Protocol):
    """Samples that networks are evaluated on."""

    def __len__(self) -> int: ...

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    def feeds(self, graph: Graph, part: slice) -> dict[str, Array]:
        """Some samples in a graph's layout, (samples, *shape): float32, or int8 as they are."""
        ...

    def labels(self, part: slice) -> Array | None:
        """Their labels, whatever they are; None where there are none."""
        ...

    def identity(self) -> str:
        """A hash that changes with the samples."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Samples of a file or a folder."""

    samples: FileSamples

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def name(self) -> str:
        """See `Source`."""
        return f"data file {self.samples.path}"

    def feeds(self, graph: Graph, part: slice) -> dict[str, Array]:
        """See `Source`; raises `DataError` for samples that are not numbers or not finite."""
        parts = [self._feeds(graph, path, some) for path, some in self.samples.by_file(part)]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([some[name] for some in parts]) for name in graph.inputs}

    def _feeds(self, graph: Graph, path: Path, part: slice) -> dict[str, Array]:
        inputs = self.samples.inputs(part)
        named = inputs if isinstance(inputs, dict) else {"x": inputs}
        if graph.is_quantized and any(array.dtype != np.int8 for array in named.values()):
            graph = graph.replace(tensors=with_tensors(graph, _real_inputs(graph)))
        return to_feeds(graph, inputs, f"the data in {path}")

    def labels(self, part: slice) -> Array | None:
        """See `Source`."""
        return self.samples.labels(part)

    def identity(self) -> str:
        """See `Source`."""
        return self.samples.identity()


def _real_inputs(graph: Graph) -> list[Tensor]:
    return [Tensor(name, graph.tensors[name].shape) for name in graph.inputs]


def open_source(graph: Graph, path: str | Path) -> FileSource:
    """Find the samples for a graph in a file or a folder; none is read, but shapes are checked.

    Raises `DataError` as `open_samples` does, and for samples of another shape, or none.
    """
    shapes = [user_shape(graph, name) for name in graph.inputs]
    samples = open_samples(path, graph.inputs, [one_sample(shape) for shape in shapes])
    for name, shape in zip(samples.names, shapes, strict=False):
        found = samples.shards[0].columns[name]
        size = (len(samples), *found.sample_shape)
        check_samples(size, found.dtype, shape, f"the data in {path}")
    return FileSource(samples)


@dataclass(frozen=True, eq=False)
class ReadyFeeds:
    """Samples in memory, in the layout of the graphs that are evaluated."""

    x: Mapping[str, Array]
    y: Array | None

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))

    @property
    def name(self) -> str:
        """See `Source`."""
        return "the evaluation data"

    def feeds(self, graph: Graph, part: slice) -> dict[str, Array]:
        """See `Source`."""
        return {name: self.x[name][part] for name in graph.inputs}

    def labels(self, part: slice) -> Array | None:
        """See `Source`."""
        return None if self.y is None else self.y[part]

    def identity(self) -> str:
        """See `Source`."""
        return fingerprint(dict(self.x), self.y)
