"""Training repairs what training-free quantization cannot: ranges that a few channels make.

The network is a small MobileNet with SiLU whose batch normalizations start with scales that differ
from channel to channel, by up to 256 times, as long training without weight decay leaves them. Int8
holds one scale a tensor, so that its quiet channels have a few steps only. No scale can be moved
from one layer to the next through a SiLU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgecnn
from edgecnn.data import to_feeds
from edgecnn.ir import Array, Graph
from firmware_export.scratch import compiled

torch.set_num_threads(1)
SAMPLES, BATCH = 30_000, 128
WIDTHS = (12, 16, 24, 32)
#: Powers of two that the scales of channels are drawn between.
SPREAD = 4.0


def block(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    norm = nn.BatchNorm2d(o)
    with torch.no_grad():
        norm.weight.copy_(torch.exp2((2 * torch.rand(o) - 1) * SPREAD))
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, norm, nn.SiLU()]


def network() -> nn.Module:
    """A stem and three depthwise-separable blocks."""
    layers = block(1, WIDTHS[0], 3, stride=2)
    for i, o, stride in zip(WIDTHS, WIDTHS[1:], (1, 2, 1), strict=False):
        layers += block(i, i, 3, stride, groups=i) + block(i, o, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10))


def fit(model: nn.Module, x: Tensor, y: Tensor, epochs: float) -> None:
    """The ordinary loop."""
    steps = int(epochs * len(x) / BATCH)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    order = torch.cat([torch.randperm(len(x)) for _ in range(int(epochs) + 1)])
    model.train()
    for picked in order[: steps * BATCH].split(BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[picked]), y[picked]).backward()
        optimizer.step()
        schedule.step()


def as_tensors(images: Array, labels: Array) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(images[:, None].astype(np.float32) / 255)
    return x, torch.from_numpy(labels.astype(np.int64))


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in x.split(500)])
    return float((found == y).float().mean())


def int8_accuracy(graph: Graph, x: Tensor, y: Tensor) -> float:
    """Of the generated C."""
    (output,) = graph.outputs
    with compiled(graph) as session:
        codes = session.run_on_all_cores(to_feeds(graph, x.numpy()))[output]
    return float((codes.reshape(len(y), -1).argmax(1) == y.numpy()).mean())


@pytest.mark.slow
def test_training_brings_int8_within_half_a_point(shared_path: Callable[[str], Path]) -> None:
    data = np.load(shared_path("data/mnist.npz"))
    picked = np.random.default_rng(0).permutation(len(data["y_train"]))[:SAMPLES]
    x, y = as_tensors(data["x_train"][picked], data["y_train"][picked])
    tests = as_tensors(data["x_test"], data["y_test"])
    torch.manual_seed(0)
    model = network()
    fit(model, x, y, epochs=3)
    in_float = accuracy(model, *tests)

    graph = edgecnn.load(model, x[:1])
    by_choice = {
        choice: int8_accuracy(edgecnn.quantize(graph, x[:500].numpy(), ranges=choice), *tests)
        for choice in ("auto", "mse", "minmax")
    }
    prepared = edgecnn.prepare_qat(model, x[:1])
    fit(prepared, x, y, epochs=1.8)
    in_eval = accuracy(prepared, *tests)
    trained = int8_accuracy(edgecnn.convert(prepared), *tests)

    print(f"float {in_float:.2%}, training-free {by_choice}, trained {trained:.2%} ({in_eval:.2%})")
    assert in_float > 0.93
    assert max(by_choice.values()) < in_float - 0.03
    assert trained > in_float - 0.005
    # What training sees in eval mode is what the C computes, but for a few ties.
    assert abs(trained - in_eval) < 0.005
