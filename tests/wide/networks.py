"""A small float network whose layers are made wide in tests."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor, nn

import edgecnn
from edgecnn.ir import Array, Graph
from tests.torch_helpers import randomize


class Residual(nn.Module):
    """A convolution, a depthwise and a pointwise one, a sum, a pooling, and two units at the end.

    The sum takes the first convolution, too, so that this has two readers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.pointwise = nn.Conv2d(4, 4, 1)
        self.pool = nn.AvgPool2d(2)
        self.last = nn.Linear(4 * 3 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        y = self.pointwise(torch.relu(self.depthwise(x)))
        z: Tensor = self.last(self.pool(torch.relu(x + y)).flatten(1))
        return z


#: The layers of the network, as they are called.
CONV, DEPTHWISE, POINTWISE, SUM = "relu", "relu_1", "conv2d_2", "relu_2"
POOL, FLAT, LAST = "avg_pool2d", "flatten", "linear"
LAYERS = (CONV, DEPTHWISE, POINTWISE, SUM, POOL, FLAT, LAST)


@functools.cache
def residual() -> Graph:
    graph = edgecnn.load(randomize(Residual()), torch.zeros(1, 2, 6, 6))
    assert tuple(node.output for node in graph.nodes) == LAYERS
    return graph


@functools.cache
def with_a_dead_channel() -> Graph:
    """The same network, with a channel that nothing reads with a weight other than 0."""
    module = randomize(Residual())
    assert isinstance(module, Residual)
    with torch.no_grad():
        module.pointwise.weight[:, 0] = 0
        module.last.weight[:, : 3 * 3] = 0
    return edgecnn.load(module, torch.zeros(1, 2, 6, 6))


def samples(count: int = 16, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 2, 6, 6)).astype(np.float32)
