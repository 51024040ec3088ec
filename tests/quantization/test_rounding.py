"""Learned rounding against all roundings, where they can be counted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.quantization import rounding
from edgecnn.quantization.rounding import Moments, learn_rounding


def moments_of(got: Array, wanted: Array) -> Moments:
    """Gathered in two parts."""
    moments = Moments()
    half = got.shape[1] // 2
    moments.add(got[:, :half], wanted[:, :half])
    moments.add(got[:, half:], wanted[:, half:])
    return moments


def error(codes: Array, steps: Array, got: Array, wanted: Array) -> Array:
    """Mean squared error of each output's sums, but for their means: (groups, outputs)."""
    lack = wanted @ steps.transpose(0, 2, 1) - got @ codes.transpose(0, 2, 1)
    return np.asarray((lack - lack.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)


def correlated(rng: np.random.Generator, groups: int, rows: int, depth: int) -> Array:
    return rng.normal(size=(groups, rows, 3)) @ rng.normal(size=(3, depth)) + 0.2 * rng.normal(
        size=(groups, rows, depth)
    )


def test_between_the_best_of_all_roundings_and_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounding, "DAMPING", 0.0)
    rng = np.random.default_rng(0)
    steps = rng.uniform(-20, 20, (20, 3, 8))
    wanted = correlated(rng, 20, 2000, 8)
    got = wanted + rng.normal(0, 0.01, wanted.shape)
    nearest = error(np.rint(steps), steps, got, wanted)
    learned = error(learn_rounding(steps, moments_of(got, wanted)), steps, got, wanted)
    choices = [np.floor(steps) + np.array(up) for up in itertools.product((0, 1), repeat=8)]
    best = np.min([error(codes, steps, got, wanted) for codes in choices], axis=0)
    assert np.all(best <= learned + 1e-12)
    assert np.all(learned <= nearest * 1.01)
    assert best.mean() < learned.mean() < nearest.mean() / 3


def test_each_weight_is_one_of_its_two_neighbours() -> None:
    rng = np.random.default_rng(0)
    steps = rng.uniform(-140, 140, (1, 5, 12))
    x = correlated(rng, 1, 500, 12)
    codes = learn_rounding(steps, moments_of(x, x))
    assert np.abs(codes).max() <= 127
    inside = np.abs(steps) < 127
    assert np.all((codes == np.floor(steps)) | (codes == np.ceil(steps)) | ~inside)


def test_inputs_that_tell_nothing_leave_the_nearest_integers() -> None:
    rng = np.random.default_rng(0)
    steps = rng.uniform(-20, 20, (2, 3, 6))
    constant = np.full((2, 100, 6), 0.7)
    assert np.array_equal(learn_rounding(steps, moments_of(constant, constant)), np.rint(steps))


def test_uncorrelated_inputs_leave_the_nearest_integers() -> None:
    rng = np.random.default_rng(0)
    steps = rng.uniform(-20, 20, (1, 4, 5))
    x = rng.normal(size=(1, 200_000, 5))
    assert np.array_equal(learn_rounding(steps, moments_of(x, x)), np.rint(steps))


def test_moments_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    got, wanted = rng.normal(3, 1, (2, 50, 4)), rng.normal(-1, 2, (2, 50, 4))
    moments = moments_of(got, wanted)
    for group in range(2):
        both = np.cov(got[group].T, wanted[group].T, bias=True)
        np.testing.assert_allclose(moments.covariance[group], both[:4, :4], atol=1e-12)
        np.testing.assert_allclose(moments.cross_covariance[group], both[:4, 4:], atol=1e-12)
        np.testing.assert_allclose(moments.got[group], got[group].mean(axis=0))
        np.testing.assert_allclose(moments.wanted[group], wanted[group].mean(axis=0))
