"""Operators of TFLite on constants: the shape arithmetic that exported models carry along."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.ir import Array, QuantParams

#: Elements that folding may make of a few: more is no shape arithmetic.
MAX_SIZE = 1 << 24

_Folder = Callable[[Sequence[Array], Any], Array | None]


def _strided_slice(arrays: Sequence[Array], options: Any) -> Array | None:
    x, begin, end, strides = arrays
    if options.ellipsisMask or options.newAxisMask or options.offset:
        return None
    index: list[slice | int] = []
    for axis, (low, high, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << axis
        if options.shrinkAxisMask & bit:
            index.append(int(low))
            continue
        start = None if options.beginMask & bit else int(low)
        stop = None if options.endMask & bit else int(high)
        index.append(slice(start, stop, int(step)))
    return np.asarray(x[tuple(index)])


def _slice(arrays: Sequence[Array], options: Any) -> Array:
    x, begin, size = arrays
    ends = [None if n < 0 else int(b + n) for b, n in zip(begin, size, strict=True)]
    return x[tuple(slice(int(b), e) for b, e in zip(begin, ends, strict=True))]


def _gather(arrays: Sequence[Array], options: Any) -> Array | None:
    return None if options.batchDims else np.take(arrays[0], arrays[1], axis=options.axis)


def _squeeze(arrays: Sequence[Array], options: Any) -> Array:
    dims = options.squeezeDims
    return np.squeeze(arrays[0], None if dims is None else tuple(int(n) for n in dims))


def _fill(arrays: Sequence[Array], options: Any) -> Array | None:
    shape = [int(n) for n in arrays[0]]
    return np.full(shape, arrays[1]) if math.prod(shape) <= MAX_SIZE else None


def _elementwise(compute: Callable[[Array, Array], Array]) -> _Folder:
    def folder(arrays: Sequence[Array], options: Any) -> Array | None:
        a, b = arrays
        if options.fusedActivationFunction:
            return None
        fits = math.prod(np.broadcast_shapes(a.shape, b.shape)) <= MAX_SIZE
        return compute(a, b) if fits else None

    return folder


def _floor_mod(arrays: Sequence[Array], options: Any) -> Array | None:
    a, b = arrays
    fits = math.prod(np.broadcast_shapes(a.shape, b.shape)) <= MAX_SIZE
    return np.mod(a, b) if fits and (b != 0).all() else None


_FOLDERS: dict[str, _Folder] = {
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "PACK": lambda a, o: np.stack(a, axis=o.axis),
    "CONCATENATION": lambda a, o: (
        None if o.fusedActivationFunction else np.concatenate(a, axis=o.axis)
    ),
    "GATHER": _gather,
    "RESHAPE": lambda a, o: a[0].reshape([int(n) for n in (a[1] if len(a) > 1 else o.newShape)]),
    "EXPAND_DIMS": lambda a, o: np.expand_dims(a[0], int(a[1].reshape(-1)[0])),
    "SQUEEZE": _squeeze,
    "TRANSPOSE": lambda a, o: a[0].transpose([int(n) for n in a[1]]),
    "REDUCE_PROD": lambda a, o: np.prod(
        a[0],
        axis=tuple(int(n) for n in a[1].reshape(-1)),
        keepdims=bool(o.keepDims),
        dtype=a[0].dtype,
    ),
    "FILL": _fill,
    "ADD": _elementwise(np.add),
    "SUB": _elementwise(np.subtract),
    "MUL": _elementwise(np.multiply),
    "FLOOR_MOD": _floor_mod,
    "CAST": lambda a, o: a[0],  # the importer turns results into the type that is declared
}


def fold(
    name: str, arrays: Sequence[Array], options: Any, quant: QuantParams | None
) -> Array | None:
    """Compute an operator whose inputs are all constants, or None where it is not known.

    DEQUANTIZE turns float16 and int8 constants into float32; everything else works on plain
    (unquantized) numbers.
    """
    if name == "DEQUANTIZE":
        x = arrays[0]
        if quant is None:
            return x.astype(np.float32)
        if quant.is_per_channel:
            return None
        return ((x.astype(np.float32) - quant.zero_point[0]) * np.float32(quant.scale[0])).astype(
            np.float32
        )
    if quant is not None or name not in _FOLDERS:
        return None
    return _FOLDERS[name](arrays, options)
