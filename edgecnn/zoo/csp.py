"""Cross-stage partial networks with Mish (Wang et al., arXiv:1911.11929; Misra, 1908.08681)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgecnn.zoo.mobilenet import ConvNormAct


class CspStage(nn.Module):
    """Halves the image; half of the channels pass through convolutions, half beside them."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.down = ConvNormAct(in_channels, channels, stride=2, activation=nn.Mish)
        self.first = ConvNormAct(half, half, activation=nn.Mish)
        self.second = ConvNormAct(half, half, activation=nn.Mish)
        self.merge = ConvNormAct(2 * half, channels, 1, activation=nn.Mish)

    def forward(self, x: Tensor) -> Tensor:
        beside, through = self.down(x).chunk(2, dim=1)
        through = through + self.second(self.first(through))
        result: Tensor = self.merge(torch.cat([through, beside], dim=1))
        return result


class CspMishNet(nn.Module):
    """Stem, cross-stage partial stages of even widths, classifier.

    Takes (N, in_channels, H, W); gives (N, classes) logits.
    """

    def __init__(
        self, in_channels: int = 3, classes: int = 12, widths: Sequence[int] = (16, 32)
    ) -> None:
        super().__init__()
        self.stem = ConvNormAct(in_channels, widths[0], activation=nn.Mish)
        self.stages = nn.Sequential(
            *(CspStage(a, b) for a, b in zip((widths[0], *widths), widths, strict=False))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stages(self.stem(x))).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits
