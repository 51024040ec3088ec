"""What each method makes of a distribution."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.quantization.observers import BINS, Observation
from edgecnn.quantization.ranges import PERCENT, RANGES, entropy, minmax, mse, percentile


def rng() -> np.random.Generator:
    """The same numbers for each test, whatever ran before."""
    return np.random.default_rng(0)


def observation(values: Array) -> Observation:
    low, high = float(values.min()), float(values.max())
    return Observation(low, high, np.histogram(values, BINS, (low, high))[0])


def test_percentile_leaves_out_the_outermost_values() -> None:
    values = rng().normal(size=1_000_000)
    low, high = percentile(observation(values))
    width = (values.max() - values.min()) / BINS
    outside = (100 - PERCENT) / 2
    assert low == pytest.approx(np.percentile(values, outside), abs=width)
    assert high == pytest.approx(np.percentile(values, 100 - outside), abs=width)


def test_few_values_all_stay() -> None:
    values = rng().normal(size=1000)
    low, high = percentile(observation(values))
    assert (low, high) == pytest.approx((values.min(), values.max()))


def test_one_outlier_among_many_is_given_up() -> None:
    values = np.append(rng().normal(size=1_000_000), [100.0])
    assert 3 < percentile(observation(values))[1] < 60
    for method in (mse, entropy):
        assert 3 < method(observation(values))[1] < 100
    assert minmax(observation(values))[1] == 100


def test_entropy_keeps_a_flat_distribution_whole() -> None:
    values = rng().uniform(0, 1, 1_000_000)
    low, high = entropy(observation(values))
    assert low == 0.0
    assert high > 0.95


@pytest.mark.parametrize("method", RANGES)
def test_a_constant_is_its_own_range(method: str) -> None:
    assert RANGES[method](Observation(3.0, 3.0, np.zeros(BINS, np.int64))) == (3.0, 3.0)


@pytest.mark.parametrize("method", RANGES)
@pytest.mark.parametrize("trial", range(20))
def test_ranges_lie_within_what_was_seen(method: str, trial: int) -> None:
    rng = np.random.default_rng(trial)
    values = rng.normal(rng.normal(), 1, 5000) ** rng.integers(1, 4) * 10 ** rng.uniform(-6, 6)
    seen = observation(values)
    low, high = RANGES[method](seen)
    assert low < high
    assert seen.low <= low or low == 0
    assert high <= seen.high or high == 0
