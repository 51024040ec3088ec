"""From float to int8: ranges, weights, biases, and the rules that hold for every network."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.errors import DataError, UserError
from edgecnn.fixedpoint import INT32_MAX, dequantize, quantize
from edgecnn.ir import FLOAT32, INT8, INT32, Array, Graph, Node, Tensor
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.quantization.observers import BINS, Observation, observe
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.quantization.ranges import MIN_SCALE, affine, minmax, mse
from edgecnn.quantization.weights import (
    MAX_BIAS,
    quantize_bias,
    quantize_operand,
    quantize_weights,
    weight_scales,
)
from edgecnn.simulator import run_float, run_int

RNG = np.random.default_rng(0)


# --- scale and zero point ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 255.0, 1.0, -128),
        (-128.0, 127.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 127),
        (-1.0, 254.0, 1.0, -127),
        (10.0, 51.0, 51 / 255, -128),  # widened to hold 0
        (-51.0, -10.0, 51 / 255, 127),
        (0.0, 0.0, 1.0, 0),  # always 0: any scale will do
        (1e-30, 2e-30, MIN_SCALE, -128),
    ],
)
def test_affine(low: float, high: float, scale: float, zero_point: int) -> None:
    quant = affine((low, high))
    assert quant.scale == (float(np.float32(scale)),)
    assert quant.zero_point == (zero_point,)


@pytest.mark.parametrize("trial", range(50))
def test_any_range_holds_zero_exactly_and_its_ends_nearly(trial: int) -> None:
    rng = np.random.default_rng(trial)
    low, high = np.sort(rng.normal(size=2) * 10 ** rng.uniform(-4, 4))
    quant = affine((low, high))
    scale, zero_point = quant.scale[0], quant.zero_point[0]
    assert -128 <= zero_point <= 127
    assert scale == float(np.float32(scale)) > 0
    assert quantize(np.zeros(1, np.float32), scale, zero_point)[0] == zero_point
    ends = np.array([low, high], np.float32)
    back = dequantize(quantize(ends, scale, zero_point), scale, zero_point)
    np.testing.assert_allclose(back, ends, rtol=0, atol=scale * 1.001)


# --- ranges -----------------------------------------------------------------------------------


def observation(values: Array) -> Observation:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS, (low, high))
    return Observation(low, high, counts)


def squared_error(values: Array, span: tuple[float, float]) -> float:
    quant = affine(span)
    codes = quantize(values.astype(np.float32), quant.scale[0], quant.zero_point[0])
    back = dequantize(codes, quant.scale[0], quant.zero_point[0])
    return float(np.square(values - back).mean())


def test_mse_beats_minmax_on_a_heavy_tail() -> None:
    values = np.random.default_rng(1).standard_t(2.5, 100_000)
    seen = observation(values)
    narrow, whole = mse(seen), minmax(seen)
    assert whole == (values.min(), values.max())
    assert whole[0] < narrow[0] < 0 < narrow[1] < whole[1]
    assert squared_error(values, narrow) < 0.9 * squared_error(values, whole)


def test_mse_keeps_the_range_of_what_has_no_tail() -> None:
    values = np.random.default_rng(1).uniform(-1, 3, 100_000)
    low, high = mse(observation(values))
    assert low <= -0.95
    assert high >= 2.85


def test_mse_is_never_worse_than_minmax_by_much() -> None:
    """The search works on bins, so it may lose a little, never much."""
    rng = np.random.default_rng(2)
    for make in (rng.normal, rng.laplace, rng.logistic, rng.exponential, rng.uniform):
        values = make(size=20_000)
        seen = observation(values)
        assert squared_error(values, mse(seen)) <= 1.05 * squared_error(values, minmax(seen))


def test_mse_of_a_constant() -> None:
    assert mse(Observation(2.0, 2.0, np.zeros(BINS, np.int64))) == (2.0, 2.0)


# --- weights and biases -----------------------------------------------------------------------


def constant(data: Array, name: str = "w") -> Tensor:
    return Tensor(name, data.shape, FLOAT32, data.astype(np.float32))


@pytest.mark.parametrize("axis", [0, 3])
def test_weights_are_symmetric_per_channel(axis: int) -> None:
    weights = RNG.normal(size=(4, 3, 3, 5)) * 10.0 ** np.arange(-2, 3)
    scales = weight_scales(weights, axis, True, None, 1.0)
    assert scales.shape == (weights.shape[axis],)
    tensor = quantize_weights(constant(weights), axis, scales)
    assert tensor.dtype == INT8
    assert tensor.data is not None
    assert tensor.data.min() >= -127
    assert tensor.quant is not None
    assert set(tensor.quant.zero_point) == {0}
    assert tensor.quant.axis == axis
    largest = np.abs(np.moveaxis(tensor.data.astype(int), axis, 0)).reshape(len(scales), -1).max(1)
    assert set(largest) == {127}
    shape = [1] * 4
    shape[axis] = -1
    back = tensor.data * scales.reshape(shape)
    assert np.all(np.abs(back - weights) <= scales.reshape(shape) * 0.501)


def test_weights_with_one_scale() -> None:
    weights = RNG.normal(size=(6, 8))
    scales = weight_scales(weights, 0, False, None, 1.0)
    np.testing.assert_allclose(scales, [np.abs(weights).max() / 127], rtol=1e-6)
    tensor = quantize_weights(constant(weights), 0, scales)
    assert tensor.quant is not None
    assert tensor.quant.axis is None


def test_channels_of_zeros_get_a_scale() -> None:
    weights = RNG.normal(size=(3, 4))
    weights[1] = 0
    scales = weight_scales(weights, 0, True, None, 1.0)
    assert np.all(scales > 0)
    tensor = quantize_weights(constant(weights), 0, scales)
    assert tensor.data is not None
    assert not tensor.data[1].any()
    assert weight_scales(np.zeros((2, 2)), 0, True, None, 1.0).tolist() == [1.0, 1.0]


def test_a_large_bias_widens_the_scale_until_it_fits() -> None:
    weights = np.array([[1e-7, -1e-7], [0.5, 0.25]])
    bias = np.array([1e4, 1.0])
    input_scale = 0.01
    scales = weight_scales(weights, 0, True, bias, input_scale)
    assert scales[0] > 1e-7 / 127
    assert scales[1] == np.float32(0.5 / 127)
    tensor = quantize_bias(constant(bias), input_scale, scales)
    assert tensor.dtype == INT32
    assert tensor.data is not None
    assert MAX_BIAS < INT32_MAX
    assert np.abs(tensor.data.astype(np.int64)).max() <= MAX_BIAS
    np.testing.assert_allclose(tensor.data * input_scale * scales.astype(float), bias, rtol=1e-5)


def test_biases_are_in_steps_of_both_scales() -> None:
    scales = np.array([0.5, 0.25], np.float32)
    tensor = quantize_bias(constant(np.array([1.0, -3.0])), 0.125, scales)
    assert tensor.data is not None
    assert tensor.data.tolist() == [16, -96]
    assert tensor.quant is not None
    assert tensor.quant.scale == (0.0625, 0.03125)
    assert tensor.quant.zero_point == (0, 0)


def test_operands_span_their_own_range() -> None:
    tensor = quantize_operand(constant(np.array([0.0, 1.0, 2.55])))
    assert tensor.data is not None
    assert tensor.data.tolist() == [-128, -28, 127]
    assert tensor.zero_point == -128


# --- whole graphs -----------------------------------------------------------------------------


def linear_graph(*layers: tuple[str, Array, Array | None], shape: tuple[int, ...]) -> Graph:
    """Fully connected layers in a row; each names its weights."""
    tensors = {"x": Tensor("x", shape)}
    nodes, last = [], "x"
    for number, (name, weights, bias) in enumerate(layers):
        inputs = (last, name, "" if bias is None else "bias")
        tensors[name] = constant(weights, name)
        if bias is not None:
            tensors["bias"] = constant(bias, "bias")
        last = f"y{number}"
        tensors[last] = Tensor(last, (1, len(weights)))
        attributes = FullyConnectedAttributes()
        nodes.append(Node("fully_connected", inputs, (last,), attributes))
    return Graph("net", tuple(nodes), tensors, ("x",), (last,))


def feeds_of(*values: Array) -> dict[str, Array]:
    return {"x": np.stack(values).astype(np.float32)[:, None]}


def test_a_constant_shared_by_layers_of_different_input_scales_splits() -> None:
    weights, bias = RNG.normal(size=(4, 4)), RNG.normal(size=4)
    graph = linear_graph(("w", weights, bias), ("w", weights, bias), shape=(1, 4))
    x = RNG.normal(size=(30, 4))
    int8 = quantize_graph(graph, feeds_of(*x))
    first, second = int8.nodes
    assert first.inputs[1] == second.inputs[1] == "w"
    assert first.inputs[2] == "bias"
    assert second.inputs[2] not in ("bias", *graph.tensors)
    for node in (first, second):
        scale = int8.tensors[node.inputs[0]].scale
        quant, weights_quant = int8.tensors[node.inputs[2]].quant, int8.tensors["w"].quant
        assert quant is not None
        assert weights_quant is not None
        np.testing.assert_allclose(quant.scale, scale * np.array(weights_quant.scale), rtol=1e-6)


def test_the_name_of_a_split_constant_is_new() -> None:
    """``bias_1`` is taken by somebody else's tensor."""
    weights, bias = RNG.normal(size=(4, 4)), RNG.normal(size=4)
    graph = linear_graph(("w", weights, bias), ("bias_1", weights, bias), shape=(1, 4))
    int8 = quantize_graph(graph, feeds_of(*RNG.normal(size=(30, 4))))
    assert int8.nodes[1].inputs[1:] == ("bias_1", "bias_2")


def test_int8_computes_what_float_computes() -> None:
    layers = [(f"w{i}", RNG.normal(size=(8, 8)) / 3, None) for i in range(3)]
    graph = linear_graph(*layers, shape=(1, 8))
    feeds = feeds_of(*RNG.normal(size=(200, 8)))
    int8 = quantize_graph(graph, feeds, "minmax")
    tensor = int8.tensors["x"]
    codes = {"x": quantize(feeds["x"], tensor.scale, tensor.zero_point)}
    out = int8.tensors[int8.outputs[0]]
    got = dequantize(run_int(int8, codes)[out.name], out.scale, out.zero_point)
    wanted = run_float(graph, feeds)[out.name]
    assert np.abs(got - wanted).max() < 6 * out.scale


def test_a_tensor_that_is_always_zero() -> None:
    graph = linear_graph(("w", np.zeros((3, 4)), None), ("v", RNG.normal(size=(2, 3)), None),
                         shape=(1, 4))  # fmt: skip
    int8 = quantize_graph(graph, feeds_of(*RNG.normal(size=(5, 4))))
    assert int8.tensors["y0"].scale == 1.0
    values = run_int(int8, {"x": np.full((1, 1, 4), 90, np.int8)})
    assert np.all(values["y1"] == int8.tensors["y1"].zero_point)


def test_an_input_that_is_always_zero() -> None:
    graph = linear_graph(("w", RNG.normal(size=(3, 4)), None), shape=(1, 4))
    int8 = quantize_graph(graph, feeds_of(np.zeros(4), np.zeros(4)))
    assert (int8.tensors["x"].scale, int8.tensors["x"].zero_point) == (1.0, 0)


def test_fixed_and_shared_ranges() -> None:
    """Softmax always gives 1/256 at -128, reshape what it was given."""
    tensors = {"x": Tensor("x", (1, 4)), "w": constant(RNG.normal(size=(4,)), "w")}
    tensors |= {n: Tensor(n, (1, 4)) for n in ("sum", "y")}
    nodes = (
        Node("add", ("x", "w"), ("sum",), AddAttributes()),
        Node("softmax", ("sum",), ("y",), SoftmaxAttributes()),
    )
    graph = Graph("net", nodes, tensors, ("x",), ("y",))
    int8 = quantize_graph(graph, feeds_of(*RNG.normal(size=(5, 4))))
    assert (int8.tensors["y"].scale, int8.tensors["y"].zero_point) == (1 / 256, -128)
    operand = int8.tensors["w"]
    assert operand.dtype == INT8
    assert operand.quant == quantize_operand(tensors["w"]).quant


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["w", "bias"])
def test_constants_that_are_not_finite_are_named(part: str, value: float) -> None:
    weights, bias = RNG.normal(size=(4, 4)), RNG.normal(size=4)
    (weights if part == "w" else bias).reshape(-1)[2] = value
    graph = linear_graph(("w", weights, bias), shape=(1, 4))
    with pytest.raises(UserError, match=f"constant '{part}' of the network holds NaN"):
        quantize_graph(graph, feeds_of(*RNG.normal(size=(5, 4))))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("size", "weight", "match"),
    [(1e31, 1.0, "'x' is too large"), (1e29, 10.0, "'y0' is too large"),
     (1e29, 1e15, "'y0' is not finite")],
)  # fmt: skip
def test_activations_that_overflow_are_named(size: float, weight: float, match: str) -> None:
    graph = linear_graph(("w", np.full((2, 4), weight), None), shape=(1, 4))
    with pytest.raises(DataError, match=match):
        quantize_graph(graph, feeds_of(np.full(4, size)))


def test_no_sample_and_no_such_choice() -> None:
    graph = linear_graph(("w", RNG.normal(size=(3, 4)), None), shape=(1, 4))
    with pytest.raises(DataError, match="no sample"):
        quantize_graph(graph, {"x": np.zeros((0, 1, 4), np.float32)})
    with pytest.raises(UserError, match="'kl'; it can be minmax, percentile, mse, entropy"):
        quantize_graph(graph, feeds_of(np.ones(4)), "kl")


def test_observation_across_chunks() -> None:
    """Ranges and histograms are of all samples, however they are cut."""
    graph = linear_graph(("w", np.eye(4), None), shape=(1, 4))
    x = RNG.normal(size=(500, 4)).astype(np.float32)
    seen = observe(graph, feeds_of(*x), histograms=True)["x"]
    assert (seen.low, seen.high) == (x.min(), x.max())
    assert seen.counts is not None
    assert seen.counts.sum() == x.size
    counts, _ = np.histogram(x, BINS, (seen.low, seen.high))
    np.testing.assert_array_equal(seen.counts, counts)
