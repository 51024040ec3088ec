"""torch operators that move, resize, reduce and transpose, and sequences of one dimension."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know
from torch import Tensor, nn

from edgecnn.errors import ModelFormatError, UnsupportedError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.frontends.torch_export import load_module
from edgecnn.ir import Array, Graph
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.simulator import run_float, run_int
from tests.frontends.torch_modules import Call, Shape, conv
from tests.ops.case_table import OPTIONAL_RUNNERS, run
from tests.torch_helpers import check_module, counts, random_inputs, to_graph


def swapped(m: Any, x: Tensor) -> Tensor:
    first, second = m.a(x).chunk(2, 1)
    return m.b(torch.cat([second, first], 1))


def crossed(m: Any, x: Tensor) -> Tensor:
    one, two, three = m.a(x).split([1, 2, 3], 1)
    return torch.cat([m.b(two), one, three], 1)


IMAGE: Shape = (1, 3, 8, 6)
SEQUENCE: Shape = (1, 3, 32)


def up(**options: Any) -> Call:
    return Call(lambda m, x: m.b(F.interpolate(m.a(x), **options)), a=conv(3, 4), b=conv(4, 3, 1))


def after_conv(function: Any, i: int = 3, o: int = 4) -> Call:
    return Call(lambda m, x: function(m.a(x)), a=conv(i, o))


def before_conv(function: Any, i: int = 3) -> Call:
    return Call(lambda m, x: m.a(function(x)), a=conv(i, 4))


def turned(i: int, o: int, k: Any, **options: Any) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(i, o, k, **options)


#: No transpose may be left.
CASES: dict[str, tuple[nn.Module, Shape]] = {
    "cat": (
        Call(lambda m, x: torch.cat([m.a(x), F.relu(m.b(x))], 1), a=conv(3, 4),
             b=conv(3, 5)), IMAGE,
    ),
    "cat_rows": (
        Call(lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 2)), a=conv(3, 4), b=conv(3, 4),
             c=conv(4, 2)), IMAGE,
    ),
    "cat_negative_axis": (
        Call(lambda m, x: torch.cat([m.a(x), m.b(x)], -3), a=conv(3, 4), b=conv(3, 4)), IMAGE,
    ),
    "cat_twelve": (
        Call(lambda m, x: m.b(torch.cat([m.a(x)] * 12, 1)), a=conv(3, 2), b=conv(24, 3)), IMAGE,
    ),
    "stack": (
        Call(lambda m, x: torch.stack([m.a(x), m.b(x)], 2).flatten(1, 2), a=conv(3, 4),
             b=conv(3, 4)), IMAGE,
    ),
    "chunk": (Call(swapped, a=conv(3, 4), b=conv(4, 2)), IMAGE),
    "split": (Call(crossed, a=conv(3, 6), b=conv(2, 2, 1)), IMAGE),
    "split_uneven": (
        Call(lambda m, x: m.b(m.a(x).split(3, 1)[2]), a=conv(3, 8), b=conv(2, 2)), IMAGE,
    ),
    "tensor_split": (
        Call(lambda m, x: m.b(m.a(x).tensor_split(3, 1)[0]), a=conv(3, 8), b=conv(3, 2)), IMAGE,
    ),
    "slice": (
        Call(lambda m, x: m.b(m.a(x)[:, 1:3, ::2, :-1]), a=conv(3, 4), b=conv(2, 2, 1)), IMAGE,
    ),
    "narrow": (Call(lambda m, x: m.b(m.a(x).narrow(1, 1, 2)), a=conv(3, 4), b=conv(2, 2)), IMAGE),
    "select": (Call(lambda m, x: m.f(m.a(x)[:, :, 1].flatten(1)), a=conv(3, 4),
                    f=nn.Linear(16, 3)), IMAGE),
    "flip": (before_conv(lambda x: torch.flip(x, (2, 3))), IMAGE),
    "roll": (before_conv(lambda x: torch.roll(x, (2, -1), (3, 2))), IMAGE),
    "repeat": (after_conv(lambda x: x.repeat(1, 2, 1, 3)), IMAGE),
    "tile": (after_conv(lambda x: x.tile(2, 1)), IMAGE),
    "repeat_rows": (before_conv(lambda x: x.repeat_interleave(2, 2)), IMAGE),
    "expand": (
        Call(lambda m, x: m.b(m.a(x).mean((2, 3), keepdim=True).expand(-1, -1, 4, 5)),
             a=conv(3, 4), b=conv(4, 3)), IMAGE,
    ),
    "expand_as": (
        Call(lambda m, x: torch.cat([x, x.mean((2, 3), keepdim=True).expand_as(x)], 1)), IMAGE,
    ),
    "reflect": (before_conv(lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect")), IMAGE),
    "replicate": (before_conv(lambda x: F.pad(x, (1, 3, 2, 1), mode="replicate")), IMAGE),
    "circular": (before_conv(lambda x: F.pad(x, (1, 2, 2, 1), mode="circular")), IMAGE),
    "crop": (before_conv(lambda x: F.pad(x, (1, -2, -2, 1))), IMAGE),
    "reflecting_conv": (conv(3, 4, padding=1, padding_mode="reflect"), IMAGE),
    "replicating_conv": (conv(3, 4, padding=1, padding_mode="replicate"), IMAGE),
    "circular_conv": (conv(3, 4, padding=1, padding_mode="circular"), IMAGE),
    "pixel_shuffle": (after_conv(lambda x: F.pixel_shuffle(F.relu(x), 2), 3, 12), IMAGE),
    "pixel_unshuffle": (before_conv(lambda x: F.pixel_unshuffle(x, 2), 12), IMAGE),
    "channel_shuffle": (
        Call(lambda m, x: m.b(F.channel_shuffle(F.relu(m.a(x)), 2)), a=conv(3, 8),
             b=conv(8, 4, groups=2)), IMAGE,
    ),
    "nearest": (up(scale_factor=2), IMAGE),
    "nearest_uneven": (up(scale_factor=2.5), IMAGE),
    "nearest_size": (up(size=(11, 3)), IMAGE),
    "nearest_exact": (up(size=(11, 3), mode="nearest-exact"), IMAGE),
    "bilinear": (up(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear_size": (up(size=(11, 3), mode="bilinear"), IMAGE),
    "bilinear_corners": (up(size=(11, 3), mode="bilinear", align_corners=True), IMAGE),
    "upsample_module": (nn.Sequential(conv(3, 4), nn.Upsample(scale_factor=3)), IMAGE),
    "conv_transpose": (turned(3, 4, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "conv_transpose_uneven": (turned(3, 4, (3, 4), stride=(1, 3), padding=(0, 2)), IMAGE),
    "conv_transpose_dilated": (turned(3, 4, 3, stride=2, dilation=2, padding=1), IMAGE),
    "conv_transpose_groups": (turned(6, 4, 3, stride=2, groups=2), (1, 6, 5, 4)),
    "conv_transpose_depthwise": (
        turned(6, 6, 4, stride=2, groups=6, padding=1, bias=False), (1, 6, 5, 4),
    ),
    "conv_transpose_norm_relu": (
        nn.Sequential(conv(3, 4), turned(4, 4, 2, stride=2), nn.BatchNorm2d(4), nn.ReLU()), IMAGE,
    ),
    "sum": (after_conv(lambda x: x.sum((2, 3))), IMAGE),
    "sum_rows": (after_conv(lambda x: x.sum(2, keepdim=True)), IMAGE),
    "amax": (after_conv(lambda x: x.amax((2, 3), keepdim=True)), IMAGE),
    "amin": (after_conv(lambda x: x.amin(1)), IMAGE),
    "max_values": (after_conv(lambda x: x.max(1, keepdim=True)[0]), IMAGE),
    "min_values": (after_conv(lambda x: x.min(1, keepdim=True).values), IMAGE),
    "conv1d": (nn.Conv1d(3, 4, 5, stride=2, padding=2), SEQUENCE),
    "conv1d_same": (nn.Conv1d(3, 4, 4, padding="same", dilation=2), SEQUENCE),
    "conv1d_depthwise": (nn.Conv1d(3, 6, 3, groups=3), SEQUENCE),
    "batch_norm_1d": (nn.BatchNorm1d(3), SEQUENCE),
    "max_pool1d": (nn.Sequential(nn.Conv1d(3, 4, 3), nn.MaxPool1d(3, 2, 1)), SEQUENCE),
    "max_pool1d_ceil": (nn.MaxPool1d(3, ceil_mode=True), SEQUENCE),
    "avg_pool1d": (nn.Sequential(nn.Conv1d(3, 4, 3), nn.AvgPool1d(3, 2, 1)), SEQUENCE),
    "adaptive_max_pool1d": (nn.AdaptiveMaxPool1d(4), SEQUENCE),
    "conv_transpose1d": (
        nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.ConvTranspose1d(4, 2, 4, 2, 1)), SEQUENCE,
    ),
    "nearest_1d": (nn.Sequential(nn.Conv1d(3, 4, 3), nn.Upsample(scale_factor=2)), SEQUENCE),
    "linear_1d": (
        nn.Sequential(nn.Conv1d(3, 4, 3), nn.Upsample(scale_factor=2, mode="linear")), SEQUENCE,
    ),
    "reflect_1d": (nn.Sequential(nn.ReflectionPad1d(2), nn.Conv1d(3, 4, 3)), SEQUENCE),
    "cnn_1d": (
        nn.Sequential(
            nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 6, 3, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.AvgPool1d(2),
            nn.Flatten(), nn.Linear(42, 5),
        ), SEQUENCE,
    ),
    "cnn_1d_global": (
        nn.Sequential(
            nn.Conv1d(3, 8, 5, stride=2), nn.BatchNorm1d(8), nn.ReLU(),
            nn.Conv1d(8, 8, 3, groups=8), nn.ReLU6(), nn.AdaptiveAvgPool1d(1),
            nn.Flatten(), nn.Linear(8, 5),
        ), SEQUENCE,
    ),
    "residual_1d": (
        Call(lambda m, x: m.f(torch.relu(m.b(m.c(x)) + x).mean(2)), c=nn.Conv1d(3, 3, 3, padding=1),
             b=nn.BatchNorm1d(3), f=nn.Linear(3, 2)), SEQUENCE,
    ),
    "inception_1d": (
        Call(lambda m, x: m.f(
                torch.cat([F.relu(m.a(x)), F.max_pool1d(m.b(x), 3, 1, 1)], 1).mean(-1)),
             a=nn.Conv1d(3, 4, 3, padding=1), b=nn.Conv1d(3, 5, 1), f=nn.Linear(9, 2)), SEQUENCE,
    ),
}  # fmt: skip

#: Transposes that cost something and are meant.
TRANSPOSED = {"stack": 1}


@pytest.mark.parametrize("case", CASES)
def test_equals_torch_without_a_transpose(case: str) -> None:
    module, shape = CASES[case]
    graph = check_module(module, shape)
    assert counts(graph)["transpose"] == TRANSPOSED.get(case, 0)
    assert signal_to_noise(graph) > 25


def signal_to_noise(graph: Graph) -> float:
    """Decibels of the int8 outputs over their error, on the data of the calibration."""
    rng = np.random.default_rng(3)
    shapes = {name: graph.tensors[name].shape for name in graph.inputs}
    feeds = {name: rng.normal(0, 1, (16, *s)).astype(np.float32) for name, s in shapes.items()}
    int8 = quantize_graph(graph, feeds)
    wanted, worst = run_float(graph, feeds), np.inf
    got = run_int(int8, {name: quantized(int8, name, x) for name, x in feeds.items()})
    for name in graph.outputs:
        output = int8.tensors[name]
        error = dequantize(got[name], output.scale, output.zero_point) - wanted[name]
        power = float(np.mean(wanted[name] ** 2)) / max(float(np.mean(error**2)), 1e-30)
        worst = min(worst, 10 * float(np.log10(power)))
    return worst


def quantized(graph: Graph, name: str, values: Array) -> Array:
    tensor = graph.tensors[name]
    return quantize(values, tensor.scale, tensor.zero_point)


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "roll flat": (Call(lambda m, x: torch.roll(x, 2)), "flattened"),
    "repeat flat": (Call(lambda m, x: x.repeat_interleave(2)), "flattened"),
    "reduce batch": (Call(lambda m, x: x.sum(0)), "reduces the batch"),
    "made weights": (Call(lambda m, x: F.conv_transpose2d(x, x[:, :1])), "weights are computed"),
    "broken bilinear": (up(scale_factor=2.3, mode="bilinear"), "broken size"),
    "indices": (Call(lambda m, x: x.max(1)[1] * 1.0 + x.amax(1)), "only the first"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    module, reason = REFUSED[case]
    with pytest.raises(UnsupportedError) as caught:
        load_module(module, random_inputs([(1, 1, 8, 6) if case == "made weights" else IMAGE]), "n")
    assert any(reason in problem.reason for problem in caught.value.problems)


def test_refuses_a_mirror_wider_than_the_image() -> None:
    with pytest.raises(ModelFormatError):
        load_module(nn.ReflectionPad2d(7), random_inputs([IMAGE]), "net")


# --- whole networks -------------------------------------------------------------------------------


def block(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(conv(i, o, padding=1), nn.BatchNorm2d(o), nn.ReLU())


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = block(3, 4), block(4, 8), block(8, 8)
        self.up2, self.up1 = nn.ConvTranspose2d(8, 8, 2, stride=2), nn.ConvTranspose2d(8, 4, 2, 2)
        self.join2, self.join1, self.last = block(16, 8), block(8, 4), conv(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.first(x)
        two = self.second(F.max_pool2d(one, 2))
        y = self.join2(torch.cat([self.up2(self.third(F.max_pool2d(two, 2))), two], 1))
        return self.last(self.join1(torch.cat([self.up1(y), one], 1)))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.pooled = block(3, 6), block(6, 4), conv(6, 3, 1)
        self.three = nn.Sequential(conv(6, 4, 1), nn.ReLU(), block(4, 5))
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x), 2)
        pooled = self.pooled(F.avg_pool2d(x, 3, 1, 1))
        y = torch.cat([self.one(x), self.three(x), F.relu(pooled)], 1)
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


def super_resolution() -> nn.Sequential:
    return nn.Sequential(block(3, 8), conv(8, 12, padding=1), nn.PixelShuffle(2))


class Pyramid(nn.Module):
    """Two heads on an upsampled pyramid, as detectors have them."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high, self.mix = block(3, 4), block(4, 8), block(12, 6)
        self.near, self.far = conv(6, 3, 1), conv(8, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low(x)
        high = self.high(F.max_pool2d(low, 2))
        both = torch.cat([F.interpolate(high, scale_factor=2), low], 1)
        return self.near(self.mix(both)), self.far(high)


class Split(nn.Module):
    """A cross-stage block: half of the channels go past the convolutions; then a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.right, self.last = block(3, 8), block(4, 4), conv(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.stem(x).chunk(2, 1)
        return self.last(F.channel_shuffle(torch.cat([left, self.right(right)], 1), 2))


NETWORKS: dict[str, tuple[nn.Module, Shape]] = {
    "u-net": (UNet(), (1, 3, 16, 12)),
    "inception": (Inception(), (1, 3, 12, 12)),
    "super-resolution": (super_resolution(), (1, 3, 8, 6)),
    "pyramid": (Pyramid(), (1, 3, 12, 8)),
    "cross-stage": (Split(), (1, 3, 8, 6)),
    "cnn-1d": CASES["cnn_1d"],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_on_every_runner(name: str, tmp_path: Path) -> None:
    module, shape = NETWORKS[name]
    graph = check_module(module, shape)
    assert counts(graph)["transpose"] == 0
    assert counts(graph)["batch_norm"] == 0
    data = np.stack(
        [
            to_graph(x.numpy(), graph.input_permutations.get(graph.inputs[0]))
            for x in random_inputs([shape] * 8)
        ]
    )
    feeds = {graph.inputs[0]: data}
    int8 = quantize_graph(graph, feeds)
    report = run(int8, tmp_path, {n: quantized(int8, n, x) for n, x in feeds.items()})
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
    assert {r.name for r in report.runners if not r.available} <= OPTIONAL_RUNNERS
    assert signal_to_noise(graph) > 20
