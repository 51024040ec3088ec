"""Compares a prepared network in eval mode with the integers of its converted graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import edgecnn
from edgecnn.fixedpoint import dequantize, round_half_away, saturate_int8
from edgecnn.ir import INT8, Array, Graph
from edgecnn.operators import operator
from edgecnn.simulator import lower_all, run_int


@dataclass(frozen=True)
class Steps:
    """By how many steps of int8 the values of one tensor differ."""

    tensor: str
    op: str
    values: int
    differing: int
    largest: int


def codes_of(reals: Array, int8: Graph, name: str) -> Array:
    """The int8 values that reals on the grid of a tensor stand for; exact."""
    tensor = int8.tensors[name]
    codes = np.rint(reals.astype(np.float64) / tensor.scale) + tensor.zero_point
    assert codes.min() >= -128
    assert codes.max() <= 127
    result = codes.astype(np.int8)
    np.testing.assert_array_equal(dequantize(result, tensor.scale, tensor.zero_point), reals)
    return result


def evaluated(prepared: Any, *inputs: torch.Tensor) -> dict[str, Array]:
    """The reals of each int8 tensor, in eval mode."""
    prepared.eval()
    with torch.no_grad():
        return {name: t.numpy() for name, t in prepared.tensors(*inputs).items()}


def differences(prepared: Any, int8: Graph, *inputs: torch.Tensor) -> list[Steps]:
    """Each node of the int8 graph, on the very int8 inputs that it has in the prepared network."""
    reals = evaluated(prepared, *inputs)
    values = {name: codes_of(reals[name], int8, name) for name in int8.inputs}
    found = []
    for node, params in zip(int8.nodes, lower_all(int8), strict=True):
        fed = [values[name] for name in int8.activation_inputs(node)]
        results = operator(node.op).evaluate_int(params, fed)
        for name, expected in zip(node.outputs, results, strict=True):
            values[name] = expected
            if name in reals and int8.tensors[name].dtype == INT8:
                got = codes_of(reals[name], int8, name)
                assert got.shape == expected.shape
                gap = np.abs(got.astype(int) - expected)
                found.append(Steps(name, node.op, gap.size, int((gap > 0).sum()), int(gap.max())))
                values[name] = got
    return found


def _sums(op: Any, params: Any, x: Array) -> Array:
    """The int32 sums of a layer with weights, as float64."""
    weights = params.weights.astype(np.float64)
    if hasattr(op, "correlate"):
        sums = op.correlate(params, x.astype(np.float64), weights, params.input_zero_point)
    else:
        sums = x.reshape(-1, weights.shape[1]).astype(np.float64) @ weights.T
    return np.asarray(sums + params.bias, np.float64)


def rounded_once(prepared: Any, int8: Graph, *inputs: torch.Tensor) -> float:
    """Share of the values of convolutions and fully connected layers that the prepared network has
    where the sums are rescaled exactly and rounded once, instead of twice."""
    reals = evaluated(prepared, *inputs)
    equal = count = 0
    for node, params in zip(int8.nodes, lower_all(int8), strict=True):
        named = node.inputs[0] in reals and node.output in reals
        if node.op not in ("conv2d", "depthwise_conv2d", "fully_connected") or not named:
            continue
        x = codes_of(reals[node.inputs[0]], int8, node.inputs[0])
        weights, output = int8.tensors[node.inputs[1]].quant, int8.tensors[node.output]
        assert weights is not None
        real = int8.tensors[node.inputs[0]].scale * np.asarray(weights.scale) / output.scale
        codes = round_half_away(_sums(operator(node.op), params, x) * real) + output.zero_point
        exact = saturate_int8(codes, params.activation_min, params.activation_max)
        got = codes_of(reals[node.output], int8, node.output).reshape(exact.shape)
        equal, count = equal + int((got == exact).sum()), count + exact.size
    return equal / count


def output_difference(prepared: Any, int8: Graph, *inputs: torch.Tensor) -> tuple[float, int]:
    """Share of the outputs' values that are equal, and the largest difference in steps.

    Of the whole network: both start from the same int8 inputs only.
    """
    reals = evaluated(prepared, *inputs)
    whole = run_int(int8, {name: codes_of(reals[name], int8, name) for name in int8.inputs})
    outputs = [name for name in int8.outputs if int8.tensors[name].dtype == INT8]
    got = np.concatenate([codes_of(reals[name], int8, name).reshape(-1) for name in outputs])
    gap = np.abs(got.astype(int) - np.concatenate([whole[name].reshape(-1) for name in outputs]))
    return float((gap == 0).mean()), int(gap.max())


def trained(module: nn.Module, *inputs: torch.Tensor, batches: int = 3, **options: Any) -> Any:
    """A network prepared and trained on noise for some steps, so that nothing is as initialized."""
    prepared = edgecnn.prepare_qat(module, **options).train()
    optimizer = torch.optim.Adam(prepared.parameters(), 1e-2)
    for _ in range(batches):
        outputs = prepared(*inputs)
        leaves = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        loss = sum(leaf.square().mean() for leaf in leaves if leaf.is_floating_point())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prepared
