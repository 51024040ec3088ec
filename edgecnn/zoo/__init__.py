"""Reference networks in PyTorch, and the seconds-long training that the demo and tests use.

The classes are exposed lazily, since importing them imports torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Autoencoder": "images",
    "ConvBlock": "blocks",
    "ConvBlockNet": "blocks",
    "CspMishNet": "csp",
    "CspStage": "csp",
    "DeepResidualNetwork": "residual",
    "DigitsResidualNet": "residual",
    "DropoutClassifier": "classifiers",
    "FaceEmbedding": "embeddings",
    "FingerprintMatcher": "embeddings",
    "GestureNet": "signals",
    "InvertedResidual": "mobilenet",
    "KeywordDSCNN": "signals",
    "MobileNetV1": "mobilenet",
    "MobileNetV2": "mobilenet",
    "MobileNetV3": "mobilenet",
    "ResidualBlock": "residual",
    "SimpleCNN": "classifiers",
    "SpectralSpatialNet": "signals",
    "SqueezeExcite": "mobilenet",
    "TransferClassifier": "transfer",
    "UNet": "images",
    "VGG": "vgg",
    "VGG16": "vgg",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
