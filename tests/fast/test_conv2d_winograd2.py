from __future__ import annotations

import numpy as np

from firmware_export.winograd import F2
from tests.fast.winograd_cases import outer_signs
from tests.fast.winograd_tests import WinogradTests


class TestConv2DWinograd2(WinogradTests):
    kernel = "conv2d_winograd2"
    transforms = F2
    seed = 31


def test_ranges() -> None:
    """The figures of the proof."""
    for matrix, largest in ((F2.weights, 1152), (F2.input, 512)):
        extremes = -128 * outer_signs(matrix)
        transformed = np.einsum("ia,jb,kab->kij", matrix, matrix, extremes)
        assert np.abs(transformed).max() == largest
