"""What quantization costs on MNIST, on networks as they are and on one made hard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn import zoo
from edgecnn.data import to_feeds
from edgecnn.ir import Array, Graph
from edgecnn.simulator import run_float, run_in_parts
from edgecnn.zoo.training import train
from firmware_export.scratch import compiled
from tests.quantization.networks import rescaled_chain

Find = Callable[[str], Path]
NETWORKS = ("dw", "resnet", "valid")


class Images(NamedTuple):
    """(N, 28, 28, 1) in [0, 1]: some of those to train with, and 5,000 to test with."""

    train: Array
    test: Array
    labels: Array


@pytest.fixture(scope="module")
def images() -> Images:
    from tests.conftest import shared_root, skip_or_fail

    path = shared_root() / "data/mnist.npz"
    if not path.exists():
        skip_or_fail(f"{path} is absent", "EDGECNN_REQUIRE_SHARED")
    with np.load(path) as data:
        # They are sorted by their digits.
        mixed = np.random.default_rng(0).permutation(len(data["x_train"]))[:1000]
        train, test = data["x_train"][mixed, ..., None], data["x_test"][..., None]
        return Images(train.astype(np.float32) / 255, test.astype(np.float32) / 255, data["y_test"])


def int8_classes(graph: Graph, x: Array) -> Array:
    with compiled(graph) as session:
        scores = session.run_on_all_cores(to_feeds(graph, x))[graph.outputs[0]]
    return scores.reshape(len(x), -1).argmax(axis=1)


def float_classes(graph: Graph, x: Array) -> Array:
    (name,) = graph.outputs
    scores = run_in_parts(run_float, graph, to_feeds(graph, x), [name])[name]
    return scores.reshape(len(x), -1).argmax(axis=1)


def share(classes: Array, labels: Array) -> float:
    return float(np.mean(classes == labels))


@pytest.mark.parametrize("samples", [500, 1000])
@pytest.mark.parametrize("network", NETWORKS)
def test_int8_is_as_good_as_float_and_as_their_own(
    network: str, samples: int, images: Images, shared_path: Find
) -> None:
    """Within 0.1 points of float, which are 5 images; their own is the int8 file beside it."""
    graph = edgecnn.load(shared_path(f"models/tinymaix/mnist_{network}_f.tflite"))
    int8 = edgecnn.quantize(graph, images.train[:samples])
    wanted, got = float_classes(graph, images.test), int8_classes(int8, images.test)
    print(f"{network}, {samples} samples: float {share(wanted, images.labels):.2%},",
          f"int8 {share(got, images.labels):.2%}, agreement {share(got, wanted):.2%}")  # fmt: skip
    assert share(got, images.labels) >= share(wanted, images.labels) - 0.001
    assert share(got, wanted) >= 0.99
    theirs = edgecnn.load(shared_path(f"models/tinymaix/mnist_{network}_q.tflite"))
    assert share(got, images.labels) >= share(int8_classes(theirs, images.test), images.labels)


@pytest.mark.parametrize("largest", [100.0, 1000.0])
def test_a_network_with_rescaled_channels(
    largest: float, images: Images, shared_path: Find
) -> None:
    """The float network stays the same; ranges alone lose over 10 points, repair under 0.5."""
    given = edgecnn.load(shared_path("models/tinymaix/mnist_dw_f.tflite"))
    hard = rescaled_chain(given, largest)
    wanted = float_classes(given, images.test)
    assert share(float_classes(hard, images.test), wanted) > 0.9995

    def accuracy(repair: str) -> float:
        int8 = edgecnn.quantize(hard, images.train[:500], ranges="minmax", repair=repair)
        return share(int8_classes(int8, images.test), images.labels)

    exact, plain, repaired = share(wanted, images.labels), accuracy("none"), accuracy("all")
    print(f"up to {largest:g}: float {exact:.2%}, min-max {plain:.2%}, repaired {repaired:.2%}")
    assert repaired > exact - 0.005
    if largest == 1000:
        assert plain < exact - 0.1


#: Networks of the zoo for images of 28x28 and ten classes.
ZOO: dict[str, Callable[[], torch.nn.Module]] = {
    "vgg": lambda: zoo.VGG(size=28),
    "mobilenet-v1": lambda: zoo.MobileNetV1(in_channels=1, classes=10),
    "mobilenet-v2": lambda: zoo.MobileNetV2(in_channels=1, classes=10),
    "mobilenet-v3": lambda: zoo.MobileNetV3(in_channels=1, classes=10),
    "csp-mish": lambda: zoo.CspMishNet(in_channels=1, classes=10),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", ZOO)
def test_networks_trained_here(network: str, shared_path: Find) -> None:
    """Within 0.1 points of float, after two epochs on a third of MNIST."""
    with np.load(shared_path("data/mnist.npz")) as data:
        mixed = np.random.default_rng(0).permutation(len(data["x_train"]))[:20_000]
        x, test = (
            part[:, None].astype(np.float32) / 255
            for part in (data["x_train"][mixed], data["x_test"])
        )
        y, labels = data["y_train"][mixed].astype(np.int64), data["y_test"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for the same weights on any number of cores
    module = train(ZOO[network](), x, y, epochs=2, learning_rate=1e-2)
    torch.set_num_threads(threads)
    graph = edgecnn.load(module, torch.zeros(1, 1, 28, 28))
    int8 = edgecnn.quantize(graph, x[:500])
    wanted, got = float_classes(graph, test), int8_classes(int8, test)
    print(f"{network}: float {share(wanted, labels):.2%}, int8 {share(got, labels):.2%}")
    assert share(wanted, labels) > 0.95
    assert share(got, labels) >= share(wanted, labels) - 0.001
