"""The reference networks learn what they are for, and lose nothing as int8, exported and proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn import zoo
from edgecnn.data import to_feeds
from edgecnn.fixedpoint import dequantize
from edgecnn.ir import Array, Graph
from edgecnn.zoo import data
from edgecnn.zoo.data import Split
from edgecnn.zoo.tasks import TASKS, Task, explained, gestures, verification
from edgecnn.zoo.training import predict, train
from firmware_export.analysis import analyze
from firmware_export.runners import HOST_RUNNERS
from firmware_export.scratch import compiled
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import OPTIONAL_RUNNERS
from tests.torch_helpers import counts

CALIBRATION_SAMPLES = 200


@dataclass(frozen=True)
class Expected:
    """The least float score, how much less int8 may have, and operators that the network has."""

    score: float
    tolerance: float = 0.01
    operators: tuple[str, ...] = ()
    #: Training takes longer than the other tests together may.
    slow: bool = False


EXPECTED = {
    "csp-mish": Expected(0.97, operators=("split", "concat", "table"), slow=True),
    "vgg": Expected(0.96, operators=("max_pool2d",), slow=True),
    "mobilenet-v1": Expected(0.95, operators=("depthwise_conv2d",), slow=True),
    "mobilenet-v2": Expected(0.95, operators=("depthwise_conv2d", "add"), slow=True),
    "mobilenet-v3": Expected(0.95, operators=("hard_swish", "mul", "mean"), slow=True),
    "keywords": Expected(0.97, operators=("depthwise_conv2d",)),
    "autoencoder": Expected(0.9, operators=("sigmoid",)),
    "u-net": Expected(0.93, operators=("transpose_conv2d", "concat"), slow=True),
    "transfer": Expected(0.9, slow=True),
    "face-embedding": Expected(0.95, operators=("l2_normalization",), slow=True),
    "fingerprints": Expected(0.9, operators=("sub",), slow=True),
    "hyperspectral": Expected(0.97, slow=True),
}
"""One row a task of `edgecnn.zoo.tasks`."""


def arrays(x: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    return (x,) if isinstance(x, np.ndarray) else x


def imported(network: nn.Module, split: Split) -> Graph:
    examples = tuple(torch.zeros(1, *part.shape[1:]) for part in arrays(split.train_x))
    return edgecnn.load(network, examples if len(examples) > 1 else examples[0])


def fed(graph: Graph, x: Array | tuple[Array, ...], count: int | None = None) -> dict[str, Array]:
    """Samples by the names of the inputs."""
    return {name: part[:count] for name, part in zip(graph.inputs, arrays(x), strict=True)}


def int8_outputs(graph: Graph, x: Array | tuple[Array, ...]) -> Array:
    """What the compiled int8 network gives, as reals, in the layout of the module."""
    (name,) = graph.outputs
    with compiled(graph) as session:
        codes = session.run_on_all_cores(to_feeds(graph, fed(graph, x)))[name]
    tensor, order = graph.tensors[name], graph.output_permutations.get(name)
    reals = dequantize(codes, tensor.scale, tensor.zero_point)
    if order is not None:
        reals = reals.transpose(0, *(axis + 1 for axis in order))
    return reals[:, 0]


def check_task(task: Task, expected: Expected, directory: Path) -> None:
    """Train, quantize, export with a proof by every runner, compare the scores."""
    split = task.data()
    network = task.train(split)
    score = task.score(predict(network, split.test_x), split.test_y)
    assert score >= expected.score
    graph = imported(network, split)
    assert set(expected.operators) <= set(counts(graph))
    int8 = edgecnn.quantize(graph, fed(graph, split.train_x, CALIBRATION_SAMPLES))
    result = edgecnn.export(int8, directory, name="network", samples=3)
    assert result.parity.passed
    available = {r.name for r in result.parity.runners if r.available}
    assert available | OPTIONAL_RUNNERS >= set(HOST_RUNNERS)
    int8_score = task.score(int8_outputs(int8, split.test_x), split.test_y)
    assert int8_score >= score - expected.tolerance


def test_every_task_is_expected() -> None:
    assert EXPECTED.keys() == TASKS.keys()


@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if not e.slow])
def test_task(name: str, tmp_path: Path) -> None:
    check_task(TASKS[name], EXPECTED[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if e.slow])
def test_longer_task(name: str, tmp_path: Path) -> None:
    check_task(TASKS[name], EXPECTED[name], tmp_path)


@pytest.mark.slow
def test_gestures(shared_path: Callable[[str], Path], tmp_path: Path) -> None:
    check_task(gestures(str(shared_path("data/magic_wand"))), Expected(0.97), tmp_path)


def test_strokes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.json file"):
        data.load_strokes(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        data.coloured_shapes,
        data.shapes_to_segment,
        data.keyword_spectrograms,
        data.hyperspectral_patches,
        data.faces,
        data.fingerprint_pairs,
    ],
)
def test_generated_data_come_from_the_seed(make: Callable[..., Split]) -> None:
    first, again, other = make(), make(), make(seed=1)
    for part, same, different in zip(first, again, other, strict=True):
        for a, b in zip(arrays(part), arrays(same), strict=True):
            np.testing.assert_array_equal(a, b)
        assert (
            any(
                a.shape != b.shape or (a != b).any()
                for a, b in zip(arrays(part), arrays(different), strict=True)
            )
            or make is data.faces
        )  # whose labels are the people in order
    for x in (*arrays(first.train_x), *arrays(first.test_x)):
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
    assert len(first.train_y) == len(arrays(first.train_x)[0])
    assert len(first.test_y) == len(arrays(first.test_x)[0])


def test_scores() -> None:
    people = np.array([0, 0, 1, 1])
    apart = np.array([[1, 0], [1, 0], [0, 1], [0, 1.0]])
    assert verification(apart, people) == 1
    assert verification(np.ones((4, 2)), people) < 1
    wanted = np.arange(6.0)
    assert explained(wanted, wanted) == 1
    assert explained(np.full(6, wanted.mean()), wanted) == 0


def test_a_frozen_body_stays_as_it_is() -> None:
    split = TASKS["transfer"].data()
    network = TASKS["transfer"].network()
    assert isinstance(network, zoo.TransferClassifier)
    before = {k: v.clone() for k, v in network.body.state_dict().items()}
    train(network, split.train_x[:64], split.train_y[:64], epochs=1)
    for name, value in network.body.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_vgg16_fits_no_board() -> None:
    """138 million bytes of weights: read, analysed, written as .tflite, refused by every board."""
    network = zoo.VGG16().eval()
    graph = edgecnn.load(network, torch.zeros(1, 3, 224, 224))
    found = analyze(graph)
    assert found.parameters == 138_357_544
    assert 15.3e9 < found.macs < 15.6e9
    assert found.boards
    assert not any(fit.fits for fit in found.boards.values())
    rng = np.random.default_rng(0)
    int8 = edgecnn.quantize(graph, rng.random((1, 3, 224, 224), np.float32))
    assert len(to_tflite(int8)) > 138_000_000
