"""Weights and multipliers as ``kernels/small.h`` reads them."""

from __future__ import annotations

import numpy as np

from edgecnn import fixedpoint
from edgecnn.ir import Array
from firmware_export.exporters import CArray
from firmware_export.fast_kernel import MAX_INPUT

#: Sums of two products stay below this in magnitude.
MAX_SEGMENT = 1 << 15
#: Bits of a piece of the multiplier by the number of pieces: sums below 2^(31 - bits).
PIECE_BITS = {3: 11, 4: 8}
#: Largest right shift by the number of pieces, for which the rounding fits.
MAX_RIGHT_SHIFT = {3: 21, 4: 23}
#: Words of a channel's table.
WORDS = 7


def pack_taps(weights: Array) -> Array | None:
    """int8 (rows, taps) as int16 (rows, pairs of taps), the first one in the low byte.

    None where two products of a pair could reach 2^15.
    """
    even = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    pairs = even.reshape(len(even), -1, 2).astype(np.int64)
    if (np.abs(pairs).sum(axis=2) * MAX_INPUT >= MAX_SEGMENT).any():
        return None
    return (pairs[:, :, 0] % 256 + 256 * pairs[:, :, 1]).astype(np.int16)


def rescaling(
    products: Array, bias: Array, multiplier: Array, shift: Array, zero_point: int,
    low: int, high: int,
) -> tuple[CArray, int] | None:  # fmt: skip
    """The table of `edgecnn_small_requantize`, and the pieces of a multiplier; None if not exact.

    ``products`` bounds the magnitude of each channel's sum without the bias. Channels whose
    output is the same byte for every such sum, as dead ones with enormous biases are, get
    multipliers of 0.
    """
    bias, right = bias.astype(np.int64), -shift.astype(np.int64)
    least, most = (
        fixedpoint.requantize(end, multiplier, shift, zero_point, low, high).astype(np.int64)
        for end in (
            np.maximum(bias - products, -(1 << 31)),
            np.minimum(bias + products, (1 << 31) - 1),
        )
    )
    constant = (least == most) & (right >= 0)
    bias = np.where(constant, 0, bias)
    multiplier = np.where(constant, 0, multiplier.astype(np.int64))
    right = np.where(constant, 1, right)
    largest = np.where(constant, 0, np.abs(bias) + products)
    least_shift = 0 if zero_point == -128 else 1
    for pieces, bits in PIECE_BITS.items():
        if (
            (largest < 1 << (31 - bits)).all()
            and (right >= least_shift).all()
            and (right <= MAX_RIGHT_SHIFT[pieces]).all()
        ):
            below = bits * (pieces - 1)
            halves = np.where(right > 0, 1 << 30, 0)
            rounding = ((1 << (30 + right)) + halves) >> below
            shifts = 31 + right - below
            rounding += np.where(constant, (least - zero_point) << shifts, 0)
            cut = [(multiplier >> (bits * i)) & ((1 << bits) - 1) for i in range(pieces)]
            zeros = [np.zeros_like(bias)] * (WORDS - 3 - pieces)
            table = np.stack([bias, rounding, shifts, *cut, *zeros], axis=1).astype(np.int32)
            return CArray(table, "channel; bias, rounding, shift, pieces of the multiplier"), pieces
    return None
