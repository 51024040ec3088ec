from __future__ import annotations

import numpy as np
import pytest

from edgecnn.fixedpoint import divide_round_half_away
from tests.fast.kernel_table import layer_of
from tests.fast.pool_tests import PoolTests
from tests.ops.test_average_pool2d import CASES, pool, random_pool

KERNEL = "average_pool2d_words"


class TestAveragePool2DWords(PoolTests):
    kernel = KERNEL
    cases = CASES
    pool = staticmethod(pool)
    draw = staticmethod(random_pool)


def test_leaves_sums_that_do_not_fit_int16() -> None:
    assert layer_of(KERNEL, pool("fits", (15, 17, 4), (15, 17))) is not None
    assert layer_of(KERNEL, pool("large", (16, 16, 4), (16, 16))) is None


@pytest.mark.parametrize("count", range(1, 256))
def test_reciprocals_round_every_sum(count: int) -> None:
    """The arithmetic of the C, for each sum that a window of a number of values can have."""
    totals = np.arange(-128 * count, 127 * count + 1)
    products = (totals * ((1 << 30) // count + 1)) >> 16
    means = (products + (1 << 13)) >> 14
    assert np.array_equal(means, divide_round_half_away(totals, count))
