from __future__ import annotations

from tests.fast.pool_tests import PoolTests
from tests.ops.test_max_pool2d import CASES, pool, random_pool


class TestMaxPool2DWords(PoolTests):
    kernel = "max_pool2d_words"
    cases = CASES
    pool = staticmethod(pool)
    draw = staticmethod(random_pool)
