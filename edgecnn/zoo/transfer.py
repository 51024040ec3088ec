"""Transfer learning: a body that was trained for one task, frozen, with a new head."""

from __future__ import annotations

from torch import Tensor, nn


class TransferClassifier(nn.Module):
    """The features of a trained network, frozen, and a new linear classifier of them.

    ``body`` gives feature maps of ``features`` numbers a sample, which are flattened. Its weights
    and running statistics stay as they are in training too. Takes what the body takes; gives
    (N, classes) logits.
    """

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body = body.requires_grad_(False)
        self.classifier = nn.Linear(features, classes)

    def train(self, mode: bool = True) -> TransferClassifier:
        """Set the mode of the head; the body stays in eval mode."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.body(x).flatten(1))
        return logits
