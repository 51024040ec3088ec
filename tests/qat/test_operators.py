"""Operators compute in torch what they mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn.operators import operators
from edgecnn.qat.executor import Executor, Training
from edgecnn.qat.operators import known
from edgecnn.simulator import run_float
from tests.qat.networks import NETWORKS, batch
from tests.torch_helpers import randomize

#: No torch network becomes these, but for LSTM, which is refused.
NOT_TRAINED = {"fake_quantize", "lstm", "requantize", "svdf"}


def test_what_cannot_be_trained_is_known() -> None:
    assert set(operators()) - known() == NOT_TRAINED | {"batch_norm"}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_that_of_the_float_graph(name: str) -> None:
    make, shapes = NETWORKS[name]
    inputs = batch(shapes, samples=3)
    prepared = edgecnn.prepare_qat(randomize(make()), inputs)
    traced = prepared.traced()
    graph = traced.plan.graph
    feeds = {}
    for key, x in zip(graph.inputs, inputs, strict=True):
        order = graph.input_permutations.get(key)
        moved = x if order is None else x.permute(order)
        feeds[key] = moved.reshape(3, *graph.tensors[key].shape[1:])
    with torch.no_grad():
        got = Executor(traced.plan, prepared.read(traced), None, Training()).run(feeds)
    expected = run_float(graph, {key: x.numpy()[:, None] for key, x in feeds.items()})
    for key, wanted in expected.items():
        largest = float(np.abs(wanted).max())
        np.testing.assert_allclose(
            got[key].numpy().reshape(wanted.shape), wanted, 1e-4, 1e-5 * largest, err_msg=key
        )
