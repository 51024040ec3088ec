from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.torch_helpers import check_module, counts

IMAGE = (1, 3, 7, 6)


class Shifted(nn.Module):
    """A layer, a constant that is added to its output, and what follows."""

    def __init__(self, layer: nn.Module, *shape: int, after: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.shift = nn.Parameter(torch.zeros(shape))
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(x) + self.shift)


FUSED = {
    "conv without bias": (Shifted(nn.Conv2d(3, 4, 3, bias=False), 4, 1, 1), IMAGE),
    "conv with bias": (Shifted(nn.Conv2d(3, 4, 3), 1, 4, 1, 1), IMAGE),
    "depthwise": (Shifted(nn.Conv2d(3, 3, 3, groups=3, bias=False), 3, 1, 1), IMAGE),
    "one number": (Shifted(nn.Conv2d(3, 4, 3), 1), IMAGE),
    "relu behind": (Shifted(nn.Conv2d(3, 4, 3), 4, 1, 1, after=nn.ReLU()), IMAGE),
    "batch norm behind": (Shifted(nn.Conv2d(3, 4, 3), 4, 1, 1, after=nn.BatchNorm2d(4)), IMAGE),
    "linear": (Shifted(nn.Linear(6, 5, bias=False), 5), (1, 6)),
    "linear of an image": (Shifted(nn.Linear(6, 5), 5), IMAGE),
    "twice": (Shifted(Shifted(nn.Conv2d(3, 4, 3), 4, 1, 1), 4, 1, 1), IMAGE),
}

KEPT = {
    "each pixel": (Shifted(nn.Conv2d(3, 4, 3), 4, 5, 4), IMAGE),
    "each column": (Shifted(nn.Conv2d(3, 4, 3), 4), IMAGE),
    "relu between": (Shifted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), 4, 1, 1), IMAGE),
    "pooling": (Shifted(nn.MaxPool2d(2), 3, 1, 1), IMAGE),
    "broadcast": (Shifted(nn.Linear(6, 1), 5), (1, 6)),
}


@pytest.mark.parametrize("case", FUSED)
def test_fuses(case: str) -> None:
    module, shape = FUSED[case]
    assert counts(check_module(module, shape))["add"] == 0


@pytest.mark.parametrize("case", KEPT)
def test_keeps(case: str) -> None:
    module, shape = KEPT[case]
    assert counts(check_module(module, shape))["add"] == 1


def test_a_layer_that_others_read_keeps_its_bias() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.shift = nn.Parameter(torch.zeros(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return torch.relu(y + self.shift) + y

    assert counts(check_module(Twice(), IMAGE))["add"] == 2


def test_shared_constants_are_not_changed() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
            self.shift = nn.Parameter(torch.zeros(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            first = torch.relu(self.first(x) + self.shift)
            return first + torch.relu(self.second(x) + self.shift)

    graph = check_module(Shared(), IMAGE)
    assert counts(graph) == {"conv2d": 2, "add": 1}
    biases = [graph.constant(n.inputs[2]) for n in graph.nodes if n.op == "conv2d"]
    assert not np.array_equal(biases[0], biases[1])
