"""Small networks that are prepared and trained by the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.frontends.torch_modules import Call

Shape = tuple[int, ...]


class Residual(nn.Module):
    """Convolution, batch normalization and ReLU, twice, around a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(x + self.bn2(self.conv2(x)))
        return self.head(x.mean((2, 3)))


class Inverted(nn.Module):
    """MobileNetV2's block: wide, depthwise, narrow, added."""

    def __init__(self, activation: Callable[[], nn.Module] = nn.ReLU6) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 9, 1, bias=False), nn.BatchNorm2d(9), activation(),
            nn.Conv2d(9, 9, 3, padding=1, groups=9, bias=False), nn.BatchNorm2d(9), activation(),
            nn.Conv2d(9, 3, 1, bias=False), nn.BatchNorm2d(3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def conv(i: int, o: int, k: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(i, o, k, **options)


def head(channels: int, pixels: int = 1) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(channels * pixels, 4)]


def _branches(m: Any, x: Tensor) -> Tensor:
    joined = torch.cat([torch.relu(m.a(x)), torch.sigmoid(m.b(x)), m.c(x)], 1)
    return m.d(nn.functional.avg_pool2d(joined, 2))


def _gated(m: Any, x: Tensor) -> Tensor:
    y = m.a(x)
    return y * torch.sigmoid(m.b(y.mean((2, 3), keepdim=True)))


#: Networks and the shapes of their inputs without the batch.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[Shape]]] = {
    "residual": (Residual, [(2, 8, 8)]),
    "inverted": (Inverted, [(3, 6, 6)]),
    "mish": (lambda: nn.Sequential(conv(1, 4), nn.BatchNorm2d(4), nn.Mish(), *head(4, 36)),
             [(1, 8, 8)]),
    "silu": (lambda: Inverted(nn.SiLU), [(3, 6, 6)]),
    "hard swish": (lambda: Inverted(nn.Hardswish), [(3, 6, 6)]),
    "concat": (lambda: Call(_branches, a=conv(2, 3), b=conv(2, 4), c=conv(2, 2), d=conv(9, 3)),
               [(2, 8, 8)]),
    "softmax": (
        lambda: nn.Sequential(conv(1, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Dropout(0.3),
                              *head(4), nn.Softmax(1)), [(1, 8, 8)],
    ),
    "leaky relu": (lambda: nn.Sequential(conv(1, 4), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
                                         conv(4, 4), nn.PReLU(), *head(4)), [(1, 8, 8)]),
    "prelu": (lambda: nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.PReLU(4), conv(4, 2)),
              [(2, 8, 8)]),
    "batch norm first": (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), conv(3, 4)),
                         [(3, 6, 6)]),
    "linear": (lambda: nn.Sequential(nn.Linear(9, 12), nn.BatchNorm1d(12), nn.ReLU(),
                                     nn.Linear(12, 5), nn.Tanh()), [(9,)]),
    "gate": (lambda: Call(_gated, a=conv(2, 4), b=conv(4, 4, 1)), [(2, 6, 6)]),
    "upsampling": (lambda: nn.Sequential(conv(2, 4), nn.Upsample(scale_factor=2, mode="bilinear"),
                                         nn.ConvTranspose2d(4, 3, 2, 2), nn.PixelShuffle(1)),
                   [(2, 6, 6)]),
    "two inputs": (lambda: Call(lambda m, x, y: m.a(x) * m.b(y), a=conv(2, 4), b=conv(1, 4, 1)),
                   [(2, 6, 6), (1, 4, 4)]),
    "sequence": (lambda: nn.Sequential(nn.Conv1d(2, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(),
                                       nn.AvgPool1d(2), nn.Conv1d(6, 3, 3)), [(2, 16)]),
}  # fmt: skip


def batch(shapes: list[Shape], samples: int = 24, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(samples, *shape, generator=generator) for shape in shapes)
