from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.ops.gru import MAX_STEPS
from edgecnn.frontends.torch_export import load_module
from edgecnn.parity import random_feeds
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.quantize import quantize_graph
from tests.ops.case_table import run
from tests.torch_helpers import check_module, counts, random_inputs, randomize


class Tagger(nn.Module):
    """Some of a GRU's results, by a function of (sequence, hidden)."""

    def __init__(self, pick: Callable[[Tensor, Tensor], Tensor], **options: Any) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 8, **options)
        self.pick = pick

    def forward(self, x: Tensor) -> Tensor:
        return self.pick(*self.gru(x))


def sequence(y: Tensor, h: Tensor) -> Tensor:
    return y


def hidden(y: Tensor, h: Tensor) -> Tensor:
    return h.squeeze(0)


def last_layer(y: Tensor, h: Tensor) -> Tensor:
    return h[-1]


def last_step(y: Tensor, h: Tensor) -> Tensor:
    return y[:, -1]


CONFIGURATIONS = [
    (sequence, {"batch_first": True}, 7),
    (sequence, {"batch_first": True}, 1),
    (sequence, {"batch_first": True}, 23),
    (sequence, {"batch_first": False}, 7),
    (sequence, {"batch_first": True, "num_layers": 2, "dropout": 0.5}, 5),
    (sequence, {"batch_first": True, "bias": False}, 7),
    (hidden, {"batch_first": True}, 7),
    (last_layer, {"batch_first": True, "num_layers": 2}, 4),
    (last_step, {"batch_first": True}, 23),
]


@pytest.mark.parametrize(("pick", "options", "steps"), CONFIGURATIONS)
def test_equals_torch(pick: Any, options: dict[str, Any], steps: int, tmp_path: Path) -> None:
    graph = check_module(Tagger(pick, **options), (1, steps, 6))
    x = np.random.default_rng(0).normal(0, 1, (60, 1, steps, 6)).astype(np.float32)
    feeds = {graph.inputs[0]: x}
    int8 = quantize_graph(graph, feeds)
    errors = {error.tensor: error.sqnr_db for error in layer_errors(graph, int8, feeds)}
    assert errors[graph.outputs[0]] > 25
    report = run(int8.replace(name="net"), tmp_path, random_feeds(int8, 5, 0))
    assert report.passed


@pytest.mark.parametrize("pick", [hidden, last_layer, last_step])
def test_the_last_state_needs_no_concatenation(pick: Any) -> None:
    graph = check_module(Tagger(pick, batch_first=True), (1, 12, 6))
    assert counts(graph)["concat"] == 0


class Started(Tagger):
    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x, x.new_ones(1, 1, 8))[0]


@pytest.mark.parametrize(
    ("module", "steps", "reason"),
    [
        (Tagger(sequence, batch_first=True, bidirectional=True), 4, "bidirectional"),
        (Started(sequence, batch_first=True), 4, "initial state"),
        (Tagger(sequence, batch_first=True), MAX_STEPS + 1, "one by one"),
    ],
)
def test_refuses(module: nn.Module, steps: int, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load_module(randomize(module), random_inputs([(1, steps, 6)]), "net")
