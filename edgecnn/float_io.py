"""Float ends of an int8 network: QUANTIZE at each input, DEQUANTIZE at each int8 output.

They are not layers: the graph stays int8, and an exporter that is asked for float ends writes
them around it. Here is what they compute, which every runner is compared with.

TFLite's QUANTIZE converts ``round(x / scale)`` to int32, which C++ leaves undefined for NaN and
from 2**31 up. There edgecnn's numpy and C do what Arm's conversion does: NaN counts as 0, the
rest saturates. Such values are in nobody's bytes to agree on, so none is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecnn.data import to_feeds
from edgecnn.errors import DataError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import FLOAT32, INT8, Array, Graph, Tensor, with_tensors

#: Steps of an input's scale, away from 0, that QUANTIZE defines with every zero point: the
#: largest float32 under 2**31.
MAX_STEPS = float((1 << 31) - (1 << 7))


def float_name(graph: Graph, name: str) -> str:
    """Name of the float tensor outside of an input or output; no other tensor has it."""
    outside = f"{name}_float"
    while outside in graph.tensors:
        outside += "_"
    return outside


def float_outputs(graph: Graph) -> dict[str, str]:
    """{int8 output: its float tensor}. Indices (int32) stay as they are and are not in it."""
    names = dict.fromkeys(graph.outputs)
    return {n: float_name(graph, n) for n in names if graph.tensors[n].dtype == INT8}


def quantize_feeds(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What QUANTIZE makes of float32 inputs; int8 ones are left as they are."""

    def quantized(name: str) -> Array:
        tensor, x = graph.tensors[name], feeds[name]
        return quantize(x, tensor.scale, tensor.zero_point) if x.dtype == np.float32 else x

    return {name: quantized(name) for name in graph.inputs}


def dequantize_outputs(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """What DEQUANTIZE makes of int8 outputs: {float tensor: float32 (samples, *shape)}."""
    result = {}
    for name, outside in float_outputs(graph).items():
        tensor = graph.tensors[name]
        result[outside] = dequantize(values[name], tensor.scale, tensor.zero_point)
    return result


def to_float_feeds(graph: Graph, data: Any, what: str = "the inputs") -> dict[str, Array]:
    """Bring data into the form of `edgecnn.data.to_feeds`, as float32.

    int8 data stand for the reals that QUANTIZE turns into them. Raises `DataError` as there, and
    for values that QUANTIZE leaves undefined.
    """
    arrays = list(data.values()) if isinstance(data, Mapping) else [data]
    if all(getattr(array, "dtype", None) == np.int8 for array in arrays):
        return {
            name: dequantize(x, graph.tensors[name].scale, graph.tensors[name].zero_point)
            for name, x in to_feeds(graph, data, what).items()
        }
    outside = [Tensor(name, graph.tensors[name].shape, FLOAT32) for name in graph.inputs]
    feeds = to_feeds(graph.replace(tensors=with_tensors(graph, outside)), data, what)
    for name, x in feeds.items():
        if not is_defined(x, graph.tensors[name].scale):
            raise DataError(
                f"{what} hold values beyond ±2**31 steps of the scale of input '{name}', which "
                "TFLite's QUANTIZE leaves undefined; scale them"
            )
    return feeds


def is_defined(x: Array, scale: float) -> bool:
    """Whether QUANTIZE defines all bytes: no NaN, nothing beyond int32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.all(np.abs(x / np.float32(scale)) <= MAX_STEPS))


def random_float_feeds(
    graph: Graph, samples: int, seed: int, *, extremes: bool = True
) -> dict[str, Array]:
    """Random float32 inputs that show how QUANTIZE rounds and saturates.

    Of the values half are uniform over the range of int8, a quarter are ties (halfway between
    two steps), an eighth their neighbours in float32, and an eighth lie far out of the range.
    With ``extremes`` there are three samples more before them: all at the lower end, all at the
    upper end, all 0. Arrays have shape (samples, *shape).
    """
    rng = np.random.default_rng(seed)
    feeds = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        drawn = _random_reals(rng, (samples, *tensor.shape), tensor.scale, tensor.zero_point)
        if extremes:
            levels = dequantize([-128, 127, tensor.zero_point], tensor.scale, tensor.zero_point)
            ends = [np.full((1, *tensor.shape), level, np.float32) for level in levels]
            drawn = np.concatenate([*ends, drawn])
        feeds[name] = drawn
    return feeds


def _random_reals(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float, zero_point: int
) -> Array:
    with np.errstate(over="ignore", under="ignore"):  # what float32 cannot hold is clipped below
        inside = (rng.uniform(-128.5, 127.5, shape) - zero_point) * scale
        ties = (rng.integers(-130, 130, shape) + 0.5 - zero_point) * scale
        beside = np.nextafter(
            ties.astype(np.float32), rng.choice([-1, 1], shape) * np.float32(np.inf)
        )
        outside = rng.choice([-1, 1], shape) * 2.0 ** rng.uniform(7, 30, shape) * scale
    kind = rng.integers(0, 8, shape)
    drawn = np.select([kind < 4, kind < 6, kind < 7], [inside, ties, beside], outside)
    largest = np.finfo(np.float32).max
    reals: Array = np.clip(drawn, -largest, largest).astype(np.float32)
    assert is_defined(reals, scale)
    return reals
