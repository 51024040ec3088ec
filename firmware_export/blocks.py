"""Weights packed for ``kernels/block.h``: blocks of four rows, pairs of taps."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Array
from firmware_export.exporters import CArray

ROWS = 4
#: Magnitude that the odd row's sum stays below where rows are joint: it is multiplied by 256.
MAX_JOINT_SUM = 1 << 23


def widened_order(n: int) -> Array:
    """The order of n bytes after widening as ``edgecnn_widen`` does; -1 is a zero.

    Words of four become the pairs (0, 2) and (1, 3); what is left follows in pairs.
    """
    whole = n // 4 * 4
    words = np.arange(whole).reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(-1)
    rest = np.arange(whole, n)
    return np.concatenate([words, rest, np.full(n % 2, -1, int)])


def order_of_runs(runs: int, n: int) -> Array:
    """The order of several runs of n bytes, each widened by itself."""
    one = widened_order(n)
    return np.concatenate([np.where(one < 0, -1, one + run * n) for run in range(runs)])


def are_joint(weights: Array, largest: Array) -> bool:
    """Whether half words of both rows are exact for (rows, taps) weights.

    ``largest`` bounds the magnitude of each row's sum.
    """
    return bool((weights[1::2] > -128).all() and (largest[1::2] < MAX_JOINT_SUM).all())


def pack_rows(weights: Array, order: Array, *, joint: bool, block: int = ROWS) -> Array:
    """int8 (rows, taps) as (rows / block, pairs, block / 2, 4), rows filled up with zeros.

    Each word has the pair of taps of an even row in bytes 0 and 2. As halves, the words are the
    even row plus 256 times the odd one where they are ``joint``; else the odd row is in bytes 1
    and 3 as it is.
    """
    rows = -weights.shape[0] % block
    filled = np.pad(weights.astype(np.int64), ((0, rows), (0, 1)))  # index -1 is a zero
    pairs = block // 2
    taps = filled[:, order].reshape(-1, pairs, 2, order.size // 2, 2)  # block, pair, row, taps, tap
    even, odd = taps[:, :, 0], taps[:, :, 1]
    high = odd - (even < 0) if joint else odd
    words = np.stack([even, high], axis=-1)  # block, pair of rows, taps, tap, byte
    packed = words.transpose(0, 2, 1, 3, 4).reshape(len(words), order.size // 2, pairs, 4)
    return packed.astype(np.int8)


def padded(table: CArray) -> CArray:
    """A table with one line a row, filled up to whole blocks with zeros."""
    data = np.pad(table.data, ((0, -table.data.shape[0] % ROWS), (0, 0)))
    return CArray(data, table.layout, data.nbytes - table.data.nbytes)
