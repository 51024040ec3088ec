"""What is trained is what is exported: tensor by tensor, the same int8 values.

Each layer of the converted graph gets the int8 inputs that it has in the prepared network. No value
may be more than one step off, and those that are have one cause: the kernels rescale their int32
sums by a product that is rounded, and then shift and round again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import edgecnn
from edgecnn import zoo
from tests.frontends import elementwise_modules, test_torch_moves, torch_modules
from tests.qat.networks import NETWORKS, Shape, batch
from tests.qat.steps import Steps, differences, output_difference, rounded_once, trained
from tests.qdq_models import assert_runners_agree
from tests.torch_helpers import randomize

torch.set_num_threads(1)


def check_steps(found: list[Steps], share: float) -> str:
    """Every value at most one step off, and at least a share of all equal."""
    equal = 1 - sum(s.differing for s in found) / sum(s.values for s in found)
    assert max(s.largest for s in found) <= 1, found
    assert equal >= share, found
    return f"{equal:.3%} of {sum(s.values for s in found):,} values in {len(found)} tensors equal"


@pytest.mark.parametrize("name", NETWORKS)
def test_each_tensor_is_the_exported_one(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = NETWORKS[name]
    inputs = batch(shapes)
    prepared = trained(make(), *inputs)
    int8 = edgecnn.convert(prepared)
    report = check_steps(differences(prepared, int8, *inputs), 0.99)
    share, largest = output_difference(prepared, int8, *inputs)
    print(f"{name}: {report}; {share:.1%} of the outputs of all layers together")
    assert largest <= 3
    assert rounded_once(prepared, int8, *inputs) > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_runner_computes_what_was_converted(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = NETWORKS[name]
    assert_runners_agree(edgecnn.convert(trained(make(), *batch(shapes))))


#: Shapes of the inputs of the reference networks.
ZOO: dict[str, list[Shape]] = {
    "Autoencoder": [(1, 8, 8)],
    "ConvBlockNet": [(3, 16, 16)],
    "CspMishNet": [(3, 16, 16)],
    "DeepResidualNetwork": [(3, 16, 16)],
    "DigitsResidualNet": [(1, 8, 8)],
    "DropoutClassifier": [(3, 32, 32)],
    "FaceEmbedding": [(1, 24, 24)],
    "FingerprintMatcher": [(1, 24, 24), (1, 24, 24)],
    "GestureNet": [(2, 64)],
    "KeywordDSCNN": [(1, 32, 20)],
    "MobileNetV1": [(3, 20, 20)],
    "MobileNetV2": [(3, 20, 20)],
    "MobileNetV3": [(3, 20, 20)],
    "SimpleCNN": [(3, 32, 32)],
    "SpectralSpatialNet": [(1, 32, 25)],
    "UNet": [(3, 24, 24)],
    "VGG": [(1, 8, 8)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_reference_networks_are_the_exported_ones(name: str) -> None:
    torch.manual_seed(0)
    inputs = batch(ZOO[name])
    prepared = trained(getattr(zoo, name)(), *inputs)
    int8 = edgecnn.convert(prepared)
    report = check_steps(differences(prepared, int8, *inputs), 0.995)
    share, largest = output_difference(prepared, int8, *inputs)
    print(f"{name}: {report}; {share:.1%} of the outputs of all layers together, off by {largest}")
    assert_runners_agree(int8)


def modules() -> Iterator[tuple[str, nn.Module, list[Shape]]]:
    """The small modules that the importers are tested with."""
    function = [(1, 3, 8, 8)]
    for name, (module, _) in elementwise_modules.FUNCTIONS.items():
        yield f"function {name}", module, function
    for table in (torch_modules.CASES, torch_modules.TRANSPOSED, elementwise_modules.NETWORKS):
        for name, (module, shapes, *_) in table.items():
            yield name, module, shapes
    for moved in (test_torch_moves.CASES, test_torch_moves.NETWORKS):
        for name, (module, shape) in moved.items():
            yield f"moves {name}", module, [shape]


#: Modules that are written for one sample.
ONE_SAMPLE = {
    "view_to_image", "flatten_and_back", "write_through_a_view", "reshape_in_steps",
    "vector_to_image", "channel_shuffle",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "shapes"), [pytest.param(*case, id=case[0]) for case in modules()]
)
def test_every_importer_is_trained_as_exported(
    name: str, module: nn.Module, shapes: list[Shape]
) -> None:
    torch.manual_seed(0)
    inputs = tuple(2 * torch.randn(4, *shape[1:]) for shape in shapes)
    network: Any = randomize(copy.deepcopy(module)).train()
    prepared = trained(network, *inputs)
    found = differences(prepared, edgecnn.convert(prepared), *inputs)
    if found:
        # A few values of a tensor of dozens are no small share of it.
        check_steps(found, 0.97)
    if name in ONE_SAMPLE:
        return
    with torch.no_grad():
        got, expected = prepared(*inputs), network.eval()(*inputs)
    for a, b in zip(*map(torch.utils._pytree.tree_leaves, (got, expected)), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
