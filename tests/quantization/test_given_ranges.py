"""Ranges that are given, not observed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn.errors import ModelFormatError
from edgecnn.ir import Graph, Tensor
from edgecnn.quantization.observers import observe
from edgecnn.quantization.quantize import quantize_graph, quantize_with_ranges


def network() -> Graph:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 2))
    return edgecnn.load(module, torch.zeros(1, 1, 6, 6))


def test_the_observed_ranges_give_what_observing_gives() -> None:
    graph = network()
    feeds = {graph.inputs[0]: np.random.default_rng(0).normal(0, 1, (8, 1, 6, 6, 1))}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    ranges = {name: (seen.low, seen.high) for name, seen in observe(graph, feeds).items()}
    expected = quantize_graph(graph, feeds, "minmax")
    got = quantize_with_ranges(graph, ranges)
    assert got.nodes == expected.nodes
    for name, tensor in expected.tensors.items():
        assert got.tensors[name].quant == tensor.quant
        np.testing.assert_array_equal(got.tensors[name].data, tensor.data)


def test_scales_follow_the_ranges() -> None:
    graph = network()
    int8 = quantize_with_ranges(graph, dict.fromkeys(graph.activations(), (-1.0, 4.1)))
    for name in int8.activations():
        assert int8.tensors[name].scale == pytest.approx(5.1 / 255)
        assert int8.tensors[name].zero_point == -78


def test_weights_that_are_not_finite_are_refused() -> None:
    graph = network()
    name = graph.nodes[0].inputs[1]
    data = np.full(graph.tensors[name].shape, np.nan, np.float32)
    broken = graph.replace(tensors={**graph.tensors, name: Tensor(name, data.shape, data=data)})
    with pytest.raises(ModelFormatError, match="NaN"):
        quantize_with_ranges(broken, dict.fromkeys(graph.activations(), (-1.0, 1.0)))
