"""How far the int8 network is from the float network, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    tensor: str
    op: str
    sqnr_db: float
    max_abs_error: float
    scale: float


@dataclass
class _Sums:
    """What is gathered of one tensor while chunks of samples go by."""

    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0

    def add(self, expected: Array, got: Array) -> None:
        exact = expected.astype(np.float64)
        difference = exact - got
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(difference).sum())
        self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))


def sqnr_db(signal: float, noise: float) -> float:
    """Ratio of two powers in decibels; no noise is ``inf``, noise without signal ``-inf``."""
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def _comparable(float_graph: Graph, int8_graph: Graph) -> list[str]:
    """Activations that both graphs have, under one name and in one shape; no indices."""
    known = set(float_graph.activations())
    return [
        name
        for name in int8_graph.activations()
        if name in known
        and int8_graph.tensors[name].quant is not None
        and float_graph.tensors[name].shape == int8_graph.tensors[name].shape
    ]


def layer_errors(
    float_graph: Graph, int8_graph: Graph, feeds: Mapping[str, Array]
) -> tuple[LayerError, ...]:
    """Compare each tensor that both graphs have by name, in execution order.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout; the int8 graph
    gets it quantized with the scale of its own input. Samples go through in chunks, so memory
    does not grow with their number. Raises `DataError` where there is no sample.
    """
    names = _comparable(float_graph, int8_graph)
    count = min((len(array) for array in feeds.values()), default=0)
    if count == 0:
        raise DataError("the quantization error needs at least one sample")
    sums = {name: _Sums() for name in names}
    params = lower_all(int8_graph)
    tensors = int8_graph.tensors
    for part in chunks(count, float_graph):
        reals = {name: feeds[name][part] for name in float_graph.inputs}
        codes = {
            name: quantize(feeds[name][part], tensors[name].scale, tensors[name].zero_point)
            for name in int8_graph.inputs
        }
        expected = run_float(float_graph, reals)
        got = run_int(int8_graph, codes, params)
        for name in names:
            tensor = tensors[name]
            sums[name].add(expected[name], dequantize(got[name], tensor.scale, tensor.zero_point))
    ops = {name: node.op for name, node in int8_graph.producers().items()}
    return tuple(
        LayerError(
            name,
            ops.get(name, "input"),
            sqnr_db(sums[name].signal, sums[name].noise),
            sums[name].largest,
            tensors[name].scale,
        )
        for name in names
    )
