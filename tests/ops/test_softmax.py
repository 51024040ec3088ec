from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.parity import Artifact, random_feeds
from edgecnn.simulator import run_int
from firmware_export.runners.host_c import HostCSession
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    build,
    check,
    draw,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
    run,
    write_c,
)

FIXED = (1 / 256, -128)
DEPTHS = (1, 2, 3, 10, 100)
SCALES = (1e-5, 0.01, 0.1, 1.0, 30.0)


def softmax(
    name: str,
    shape: tuple[int, ...],
    scale: float,
    *,
    zero_point: int = 4,
    beta: float = 1.0,
    output: tuple[float, int] = FIXED,
) -> Case:
    """A softmax over the last axis."""
    x = Value(shape, scale, zero_point)
    return Case(name, "softmax", [x], SoftmaxAttributes(beta), output)


CASES = [
    *(softmax(f"depth-{d}-scale-{s}", (1, d), s) for d in DEPTHS for s in SCALES),
    softmax("most-values", (1, 511), 0.001),
    softmax("rows", (1, 4, 6), 0.1),
    softmax("rows-of-an-image", (1, 3, 2, 5), 0.1),
    softmax("beta-half", (1, 7), 0.1, beta=0.5),
    softmax("beta-three", (1, 7), 0.1, beta=3.0),
    softmax("largest-multiplier", (1, 7), 100.0),
]


def random_softmax(rng: Rng, name: str) -> Case:
    depth = draw(rng, (1, 2, int(rng.integers(3, 20)), int(rng.integers(20, 300))))
    rows = draw(rng, (1, 1, int(rng.integers(2, 6))))
    scale = draw(rng, (draw_scale(rng), draw_scale(rng, -25, 8)))
    beta = draw(rng, (1.0, 1.0, float(np.float32(rng.uniform(0.1, 4)))))
    return softmax(name, (1, rows, depth), scale, zero_point=draw_zero_point(rng), beta=beta)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_difference_of_two_values(tmp_path: Path) -> None:
    """All pairs of bytes, in one sample of rows of two, at several scales."""
    first, second = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    pairs = np.stack([first, second], axis=-1).reshape(1, 1, 65536, 2).astype(np.int8)
    cases = [softmax(f"scale-{s}", (1, 65536, 2), s) for s in (0.003, 0.02, 0.1, 0.7)]
    check(cases, tmp_path, feeds={f"{case.name}/0": pairs for case in cases})


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_softmax, 48, 1), tmp_path, samples=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_softmax, 48, seed), tmp_path, samples=20, seed=seed)


LONG = [
    softmax("imagenet", (1, 1000), 0.1),
    softmax("imagenet-and-background", (1, 1001), 0.0543, zero_point=-71),
    softmax("longest", (1, 4095), 0.5, beta=0.7),
    softmax("rows", (1, 3, 600), 0.2),
]


@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
def test_long_rows(case: Case, tmp_path: Path) -> None:
    """Rows whose exponentials could sum to 512, where the stock runtimes are undefined."""
    graph = build([case])
    report = run(graph, tmp_path, random_feeds(graph, 5, 1))
    assert report.passed, report.summary()
    assert report.samples == 5
    assert report.left_out == 3  # all values equal


@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
def test_sums_from_512_on_give_shares_of_0(case: Case, tmp_path: Path) -> None:
    """C is defined there, and says what numpy says."""
    graph = build([case])
    write_c(graph, tmp_path)
    feeds = random_feeds(graph, 0, 1)
    expected = run_int(graph, feeds)[case.name]
    got = HostCSession(Artifact(graph, b"", graph.name, tmp_path), trace=False).run(feeds)[
        case.name
    ]
    assert np.array_equal(got, expected)
    assert (expected == -128).all()


def test_a_sum_just_under_512_is_compared(tmp_path: Path) -> None:
    case = softmax("edge", (1, 600), 1.0)
    graph = build([case])
    x = np.full((2, 1, 600), -128, np.int8)
    x[0, 0, :511] = 127
    x[1, 0, :512] = 127
    report = run(graph, tmp_path, {"edge/0": x})
    assert report.passed
    assert (report.samples, report.left_out) == (1, 1)


def test_nothing_defined_to_compare_does_not_pass(tmp_path: Path) -> None:
    graph = build([softmax("flat", (1, 600), 1.0)])
    report = run(graph, tmp_path, random_feeds(graph, 0, 1))
    assert not report.passed
    assert "no defined result" in report.summary()


def random_long_softmax(rng: Rng, name: str) -> Case:
    depth, scale = int(rng.integers(512, 4096)), draw_scale(rng, -3, 4)
    return softmax(name, (1, depth), scale, zero_point=draw_zero_point(rng))


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))]
)
def test_random_long_rows(seed: int, tmp_path: Path) -> None:
    graph = build(random_cases(random_long_softmax, 48, seed))
    report = run(graph, tmp_path, random_feeds(graph, 4, seed, extremes=False))
    assert report.passed, report.summary()
    assert report.samples == 4


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (softmax("beta", (1, 4), 0.1, beta=0.0), "beta"),
        (softmax("more-than-can-be-summed", (1, 4096), 0.1), "4095"),
        (softmax("fine", (1, 4), 2.0**-26), "scale"),
        (softmax("output", (1, 4), 0.1, output=(1 / 128, 0)), "1/256"),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_refuses(case: Case, word: str) -> None:
    assert word in (problem(case) or "")
