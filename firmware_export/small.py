"""Weights and multipliers as ``kernels/small.h`` reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array
from firmware_export.exporters import CArray, FieldValue
from firmware_export.fast_kernel import MAX_INPUT

#: Sums of two products stay below this in magnitude.
MAX_SEGMENT = 1 << 15
#: Rows in a word of weights, whose sums stay below this in magnitude.
ROWS = 4
MAX_JOINT_SUM = 1 << 23
#: Bits of a piece of the multiplier by the number of pieces: sums below 2^(31 - bits).
PIECE_BITS = {3: 11, 4: 8}


@dataclass(frozen=True, eq=False)
class Rescaling:
    """How `edgecnn_small_requantize` rescales the channels of a layer."""

    bias: CArray
    scales: CArray
    #: Of each multiplier.
    pieces: int

    @property
    def fields(self) -> dict[str, FieldValue]:
        """The tables, as every kernel has them."""
        return {"bias": self.bias, "scales": self.scales}

    @property
    def shape(self) -> dict[str, FieldValue]:
        """What is known at compile time: pieces, and whether each channel has its own scale."""
        return {"pieces": self.pieces, "per_channel": int(len(self.scales.data) > 1)}


def pack_taps(weights: Array) -> Array | None:
    """int8 (rows, taps) as int16 (rows, pairs of taps), the first one in the low byte.

    None where two products of a pair could reach 2^15.
    """
    even = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    pairs = even.reshape(len(even), -1, 2).astype(np.int64)
    if (np.abs(pairs).sum(axis=2) * MAX_INPUT >= MAX_SEGMENT).any():
        return None
    return (pairs[:, :, 0] % 256 + 256 * pairs[:, :, 1]).astype(np.int16)


def pack_rows(weights: Array) -> Array | None:
    """int8 (rows, taps) as int32 (fours of rows, taps), taps filled up to fours with zeros.

    Halves of a word are an even row plus 256 times the odd one. None where that does not fit.
    """
    rows, taps = weights.shape
    filled = np.pad(weights.astype(np.int64), ((0, -rows % ROWS), (0, -taps % ROWS)))
    fours = filled.reshape(-1, ROWS, filled.shape[1])
    halves = fours[:, 0::2] + 256 * fours[:, 1::2]
    if halves.min() < -(1 << 15) or np.abs(filled).sum(axis=1).max() * MAX_INPUT >= MAX_JOINT_SUM:
        return None
    return (halves[:, 0] % (1 << 16) + (halves[:, 1] << 16)).astype(np.int32)


def rescaling(
    largest: Array, bias: Array, multiplier: Array, shift: Array, zero_point: int
) -> Rescaling | None:
    """The tables of `edgecnn_small_requantize`; None where it is not exact.

    ``largest`` bounds the magnitude of each channel's sum, int64.
    """
    bias, right, m = (a.astype(np.int64) for a in (bias, -shift, multiplier))
    found = _cut(largest, m, right, zero_point)
    if found is None:
        return None
    same = (found == found[0]).all()
    return Rescaling(
        CArray(bias.astype(np.int32), "channel"),
        CArray(
            (found[:1] if same else found).astype(np.int32),
            ("layer" if same else "channel") + "; rounding, shift, pieces of the multiplier",
        ),
        found.shape[1] - 2,
    )


def _cut(largest: Array, multiplier: Array, right: Array, zero_point: int) -> Array | None:
    """Rounding, shift and pieces for sums up to ``largest``, int64; None where none fit."""
    has_sign = zero_point != -128
    if (right < int(has_sign)).any() or (right > 31).any():
        return None
    for pieces, bits in PIECE_BITS.items():
        below = bits * (pieces - 1)
        shift = 31 + right - below
        rounding = ((1 << (30 + right)) + np.where(right > 0, 1 << 30, 0)) >> below
        rounding += (zero_point + 128) << shift
        high = (np.minimum(largest, MAX_JOINT_SUM) * multiplier >> below) + rounding
        if ((largest < 1 << (31 - bits)) & (shift < 32) & (high < 1 << 31)).all():
            cut = [(multiplier >> (bits * i)) & ((1 << bits) - 1) for i in range(pieces)]
            return np.stack([rounding, shift, *cut], axis=1)
    return None
