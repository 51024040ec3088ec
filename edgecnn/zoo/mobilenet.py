"""MobileNets of three generations, at any width and depth.

Sources: arXiv:1704.04861 (V1: depthwise separable convolutions), arXiv:1801.04381 (V2: inverted
residuals with linear bottlenecks), arXiv:1905.02244 (V3: hard swish, squeeze and excite).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalization and an activation (None for a linear layer)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] | None = nn.ReLU6,
    ) -> None:
        layers = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                kernel_size // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            *([] if activation is None else [activation()]),
        ]
        super().__init__(*layers)


class _Classifier(nn.Module):
    """Features, global average pooling, a linear layer. (N, C, H, W) to (N, classes)."""

    def __init__(self, features: nn.Sequential, channels: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits


class MobileNetV1(_Classifier):
    """Depthwise separable convolutions; ``layers`` are their (channels, stride)."""

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 12,
        stem: int = 8,
        layers: Sequence[tuple[int, int]] = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)),
    ) -> None:
        parts: list[nn.Module] = [ConvNormAct(in_channels, stem, stride=2, activation=nn.ReLU)]
        channels = stem
        for out, stride in layers:
            parts += [
                ConvNormAct(channels, channels, 3, stride, channels, nn.ReLU),
                ConvNormAct(channels, out, 1, activation=nn.ReLU),
            ]
            channels = out
        super().__init__(nn.Sequential(*parts), channels, classes)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that is computed from the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.relu = nn.ReLU()
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.gate(self.expand(self.relu(self.squeeze(self.pool(x)))))
        result: Tensor = x * scale
        return result


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow without activation; a shortcut where shapes agree."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int = 6,
        stride: int = 1,
        kernel_size: int = 3,
        activation: Callable[[], nn.Module] = nn.ReLU6,
        squeeze_excite: bool = False,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormAct(in_channels, wide, 1, activation=activation))
        layers.append(ConvNormAct(wide, wide, kernel_size, stride, wide, activation))
        if squeeze_excite:
            layers.append(SqueezeExcite(wide, max(4, wide // 4)))
        layers.append(ConvNormAct(wide, out_channels, 1, activation=None))
        self.layers = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.has_shortcut else y


class MobileNetV2(_Classifier):
    """Inverted residuals with ReLU6; ``layers`` are their (expansion, channels, stride)."""

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 12,
        stem: int = 8,
        layers: Sequence[tuple[int, int, int]] = ((1, 8, 1), (4, 12, 2), (4, 12, 1), (4, 24, 2)),
        last: int = 64,
    ) -> None:
        parts: list[nn.Module] = [ConvNormAct(in_channels, stem, stride=2)]
        channels = stem
        for expansion, out, stride in layers:
            parts.append(InvertedResidual(channels, out, expansion, stride))
            channels = out
        parts.append(ConvNormAct(channels, last, 1))
        super().__init__(nn.Sequential(*parts), last, classes)


class V3Layer(NamedTuple):
    """One inverted residual of MobileNetV3."""

    kernel_size: int
    expansion: int
    channels: int
    squeeze_excite: bool
    hard_swish: bool
    stride: int


class MobileNetV3(nn.Module):
    """In the style of V3-Small: squeeze and excite, hard swish, a wide layer after the pooling.

    Takes (N, in_channels, H, W); gives (N, classes) logits.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 12,
        stem: int = 8,
        layers: Sequence[V3Layer] = (
            V3Layer(3, 1, 8, True, False, 1),
            V3Layer(3, 3, 16, False, False, 2),
            V3Layer(3, 3, 16, False, False, 1),
            V3Layer(5, 3, 24, True, True, 2),
            V3Layer(5, 3, 24, True, True, 1),
        ),
        last: int = 64,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = [ConvNormAct(in_channels, stem, stride=2, activation=nn.Hardswish)]
        channels = stem
        for layer in layers:
            activation = nn.Hardswish if layer.hard_swish else nn.ReLU
            parts.append(
                InvertedResidual(
                    channels,
                    layer.channels,
                    layer.expansion,
                    layer.stride,
                    layer.kernel_size,
                    activation,
                    layer.squeeze_excite,
                )
            )
            channels = layer.channels
        parts.append(ConvNormAct(channels, last, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(last, hidden), nn.Hardswish(), nn.Dropout(0.1), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits
