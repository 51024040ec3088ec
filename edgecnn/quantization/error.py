"""How far the int8 network is from the float network, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import Array, Graph
from edgecnn.simulator import chunks, lower_all, run_float, run_int


@dataclass(frozen=True)
class LayerError:
    """The error of one tensor: all that the layers up to it have added together.

    ``sqnr_db`` is the signal-to-quantization-noise ratio over all samples and elements,
    ``10 * log10(sum(x**2) / sum((x - y)**2))`` with x from the float network and y what the
    int8 values stand for. It is ``inf`` where every y equals its x, and ``-inf`` where x is zero
    everywhere and y is not. ``max_abs_error`` is the largest ``|x - y|``, in real units, and
    ``scale`` one step of the tensor's int8 values. ``op`` is ``"input"`` for a graph input.
    ``cosine`` is the cosine of the angle between x and y, None where one is zero everywhere;
    ``low`` and ``high`` are the smallest and the largest x.
    """

    tensor: str
    op: str
    sqnr_db: float
    max_abs_error: float
    scale: float
    cosine: float | None
    low: float
    high: float


@dataclass
class Sums:
    """What is gathered of one tensor while chunks of samples go by."""

    signal: float = 0.0
    noise: float = 0.0
    product: float = 0.0
    power: float = 0.0
    largest: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, expected: Array, got: Array) -> None:
        """Count the values of some samples."""
        exact = expected.astype(np.float64).ravel()
        other = got.astype(np.float64).ravel()
        difference = exact - other
        self.join(
            Sums(
                float(np.square(exact).sum()),
                float(np.square(difference).sum()),
                float((exact * other).sum()),
                float(np.square(other).sum()),
                float(np.abs(difference).max(initial=0.0)),
                float(exact.min(initial=math.inf)),
                float(exact.max(initial=-math.inf)),
            )
        )

    def join(self, later: Sums) -> None:
        """Count what was gathered of later samples."""
        self.signal += later.signal
        self.noise += later.noise
        self.product += later.product
        self.power += later.power
        self.largest = max(self.largest, later.largest)
        self.low = min(self.low, later.low)
        self.high = max(self.high, later.high)

    @property
    def sqnr_db(self) -> float:
        """See `LayerError`."""
        return sqnr_db(self.signal, self.noise)

    @property
    def cosine(self) -> float | None:
        """See `LayerError`."""
        lengths = math.sqrt(self.signal) * math.sqrt(self.power)
        return min(1.0, max(-1.0, self.product / lengths)) if lengths > 0.0 else None


def sqnr_db(signal: float, noise: float) -> float:
    """Ratio of two powers in decibels; no noise is ``inf``, noise without signal ``-inf``."""
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def comparable(float_graph: Graph, int8_graph: Graph) -> list[str]:
    """Activations that both graphs have, under one name and in one shape; no indices."""
    known = set(float_graph.activations())
    return [
        name
        for name in int8_graph.activations()
        if name in known
        and int8_graph.tensors[name].quant is not None
        and float_graph.tensors[name].shape == int8_graph.tensors[name].shape
    ]


def add_errors(
    sums: Mapping[str, Sums],
    int8_graph: Graph,
    params: Sequence[Any],
    expected: Mapping[str, Array],
) -> None:
    """Count the errors of some samples, whose tensors the float network computed as expected.

    ``params`` are those of the int8 graph's nodes, which gets the samples quantized with the
    scale of its own input.
    """
    tensors = int8_graph.tensors
    codes = {
        name: quantize(expected[name], tensors[name].scale, tensors[name].zero_point)
        for name in int8_graph.inputs
    }
    got = run_int(int8_graph, codes, params)
    for name, of_tensor in sums.items():
        tensor = tensors[name]
        of_tensor.add(expected[name], dequantize(got[name], tensor.scale, tensor.zero_point))


def total_errors(sums: Mapping[str, Sums], int8_graph: Graph) -> tuple[LayerError, ...]:
    """The errors of tensors, in execution order."""
    ops = {name: node.op for node in int8_graph.nodes for name in node.outputs}
    return tuple(
        LayerError(
            name,
            ops.get(name, "input"),
            found.sqnr_db,
            found.largest,
            int8_graph.tensors[name].scale,
            found.cosine,
            found.low,
            found.high,
        )
        for name, found in sums.items()
    )


def layer_errors(
    float_graph: Graph, int8_graph: Graph, feeds: Mapping[str, Array]
) -> tuple[LayerError, ...]:
    """Compare each tensor that both graphs have by name, in execution order.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout. Samples go
    through in chunks, so memory does not grow with their number. Raises `DataError` where there
    is no sample.
    """
    count = min((len(array) for array in feeds.values()), default=0)
    if count == 0:
        raise DataError("the quantization error needs at least one sample")
    sums = {name: Sums() for name in comparable(float_graph, int8_graph)}
    params = lower_all(int8_graph)
    for part in chunks(count, float_graph):
        reals = {name: feeds[name][part] for name in float_graph.inputs}
        add_errors(sums, int8_graph, params, run_float(float_graph, reals))
    return total_errors(sums, int8_graph)
