"""Single layers in 16 bits: where conversions come, which scales there are, and what it is for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import edgecnn
from edgecnn import verify
from edgecnn.data import to_feeds
from edgecnn.errors import UnsupportedError, UserError
from edgecnn.fixedpoint import dequantize
from edgecnn.float_io import quantize_feeds
from edgecnn.ir import FLOAT32, INT8, INT16, INT64, Graph, Node, Tensor
from edgecnn.ops.add import AddAttributes
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.quantization.wide import MIN_WIDE_SCALE, symmetric, widened
from edgecnn.simulator import run_float, run_int
from tests.wide.networks import (
    CONV,
    DEPTHWISE,
    FLAT,
    LAST,
    LAYERS,
    POINTWISE,
    POOL,
    SUM,
    residual,
    samples,
)


def quantized(*wide: str, ranges: str = "mse") -> Graph:
    graph = edgecnn.quantize(residual(), samples(), ranges=ranges, repair="none", wide=wide)
    verify.check(graph)
    return graph


def steps(graph: Graph) -> list[tuple[str, str]]:
    """The nodes by operator and output."""
    return [(node.op, node.output) for node in graph.nodes]


def added(graph: Graph) -> list[str]:
    """The conversions of a graph."""
    return [node.output for node in graph.nodes if node.op == "requantize"]


# --- where conversions come -------------------------------------------------------------------


def test_nothing_changes_without_a_name() -> None:
    assert steps(quantized()) == [(node.op, node.output) for node in residual().nodes]


def test_a_layer_alone_is_between_two_conversions() -> None:
    graph = quantized(DEPTHWISE)
    types = {name: graph.tensors[name].dtype for name in graph.activations()}
    wide = {f"{CONV}_int16", DEPTHWISE}
    assert {name for name, dtype in types.items() if dtype == INT16} == wide
    assert steps(graph)[:4] == [
        ("conv2d", CONV),
        ("requantize", f"{CONV}_int16"),
        ("depthwise_conv2d", DEPTHWISE),
        ("requantize", f"{DEPTHWISE}_int8"),
    ]


def test_neighbours_are_joined() -> None:
    graph = quantized(DEPTHWISE, POINTWISE, SUM, POOL)
    assert added(graph) == [f"{CONV}_int16", f"{POOL}_int8"]


def test_consumers_share_a_conversion() -> None:
    assert added(quantized(CONV)) == ["x_int16", f"{CONV}_int8"]
    graph = quantized(DEPTHWISE, SUM)
    assert added(graph) == [
        f"{CONV}_int16",
        f"{DEPTHWISE}_int8",
        f"{POINTWISE}_int16",
        f"{SUM}_int8",
    ]


def test_the_ends_stay_int8_under_their_names() -> None:
    graph = quantized(*LAYERS)
    assert graph.is_quantized
    assert graph.inputs == residual().inputs
    assert graph.outputs == (LAST,)
    assert graph.tensors[LAST].dtype == INT8
    assert steps(graph)[-2:] == [("fully_connected", f"{LAST}_int16"), ("requantize", LAST)]
    assert added(graph) == ["x_int16", LAST]


def test_views_between_wide_layers_are_wide() -> None:
    graph = quantized(POOL, LAST)
    assert graph.tensors[FLAT].dtype == INT16
    assert added(graph) == [f"{SUM}_int16", LAST]
    assert quantized(LAST).tensors[FLAT].dtype == INT8
    assert quantized(POOL).tensors[FLAT].dtype == INT8


def test_names_that_are_taken() -> None:
    """A network may have tensors that are called as conversions are."""
    taken = Tensor(f"{CONV}_int16", (1,), FLOAT32, np.ones(1, np.float32))
    graph = residual()
    nodes = [*graph.nodes[:-2]]
    extra = Node("add", (nodes[-1].output, taken.name), ("more",), AddAttributes())
    shape = graph.tensors[nodes[-1].output].shape
    tensors = {**graph.tensors, taken.name: taken, "more": Tensor("more", shape)}
    other = graph.replace(nodes=(*nodes, extra), tensors=tensors, outputs=("more",))
    prepared = widened(other, {DEPTHWISE})
    assert f"{CONV}_int16_" in prepared.tensors


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_layers(count: int) -> None:
    """Every choice gives a graph that keeps all rules and computes, in float, the same."""
    feeds = to_feeds(residual(), samples(2))
    expected = run_float(residual(), feeds)[LAST]
    for names in itertools.combinations(LAYERS, count):
        prepared = widened(residual(), names).graph
        np.testing.assert_array_equal(run_float(prepared, feeds)[LAST], expected)
        verify.check(quantize_graph(residual(), feeds, "minmax", names))


# --- what is refused --------------------------------------------------------------------------


def test_refuses_a_name_that_no_layer_has() -> None:
    with pytest.raises(UserError, match=f"no layer is called 'nope'.* {CONV}, {DEPTHWISE}"):
        quantized(CONV, "nope")
    with pytest.raises(UserError, match="no layer is called 'x'"):
        quantized("x")


def test_refuses_an_operator_without_a_form() -> None:
    graph = residual()
    shape = graph.tensors[LAST].shape
    nodes = (*graph.nodes, Node("hard_swish", (LAST,), ("end",)))
    tensors = {**graph.tensors, "end": Tensor("end", shape)}
    ending = graph.replace(nodes=nodes, tensors=tensors, outputs=("end",))
    with pytest.raises(UnsupportedError, match="no form in 16 bits") as caught:
        edgecnn.quantize(ending, samples(), wide=[CONV, "end"])
    (problem,) = caught.value.problems
    assert (problem.operator, problem.tensor) == ("hard_swish", "end")


# --- scales -----------------------------------------------------------------------------------


def test_scales_are_of_the_whole_range() -> None:
    """The int8 tensors of the same network have a clipped one."""
    feeds = to_feeds(residual(), samples())
    values = run_float(residual(), feeds)
    graph = quantized(*LAYERS)
    for name in (CONV, DEPTHWISE, POINTWISE, SUM):
        tensor = graph.tensors[name]
        largest = float(np.abs(values[name]).max())
        assert tensor.zero_point == 0
        assert tensor.scale == float(np.float32(largest / 32767))


def test_views_and_pooling_keep_the_scale() -> None:
    graph = quantized(SUM, POOL, FLAT)
    scales = {graph.tensors[name].scale for name in (SUM, POOL, FLAT)}
    assert len(scales) == 1


def test_one_name_will_do() -> None:
    alone, listed = (edgecnn.quantize(residual(), samples(), wide=w) for w in (CONV, [CONV]))
    assert steps(alone) == steps(listed)


def test_biases_are_int64_in_the_steps_of_the_products() -> None:
    graph = quantized(POINTWISE)
    (node,) = (node for node in graph.nodes if node.output == POINTWISE)
    x, weights, bias = (graph.tensors[name] for name in node.inputs)
    assert (x.dtype, weights.dtype, bias.dtype) == (INT16, INT8, INT64)
    assert weights.quant is not None
    assert bias.quant is not None
    assert bias.quant.scale == tuple(
        float(np.float32(x.scale * scale)) for scale in weights.quant.scale
    )
    assert bias.data is not None
    real = residual().constant(node.inputs[2])
    assert real is not None
    np.testing.assert_allclose(bias.data * np.array(bias.quant.scale), real, rtol=1e-3)


def test_constant_operands_are_int16() -> None:
    graph = residual()
    data = np.array([0.5, -2.0, 1.0, 0.25], np.float32)
    tensors = {
        **graph.tensors,
        "c": Tensor("c", (4,), FLOAT32, data),
        "plus": Tensor("plus", graph.tensors[SUM].shape),
    }
    nodes = (*graph.nodes[:4], Node("add", (SUM, "c"), ("plus",), AddAttributes()))
    short = graph.replace(nodes=nodes, tensors=tensors, outputs=("plus",))
    constant = edgecnn.quantize(short, samples(), wide=["plus"]).tensors["c"]
    assert constant.dtype == INT16
    assert constant.data is not None
    np.testing.assert_array_equal(constant.data, [8192, -32767, 16384, 4096])


def test_scale_of_nothing_and_of_very_little() -> None:
    assert symmetric(0.0).scale == (1.0,)
    assert symmetric(1e-30).scale == (float(np.float32(MIN_WIDE_SCALE)),)
    assert symmetric(32767.0).scale == (1.0,)


# --- what it is for ---------------------------------------------------------------------------


def test_wide_layers_come_nearer_to_float() -> None:
    feeds = to_feeds(residual(), samples())

    def error(wide: tuple[str, ...], tensor: str) -> float:
        graph = quantized(*wide, ranges="minmax")
        return {e.tensor: e.sqnr_db for e in layer_errors(residual(), graph, feeds)}[tensor]

    assert error((CONV,), CONV) > error((), CONV)
    assert error(LAYERS[:4], SUM) > error((), SUM) + 2
    assert error(LAYERS, LAST) > error((), LAST) + 2


def test_int16_codes_stand_for_the_reals() -> None:
    """A sum that saturates nothing is within a step of the sum of its operands."""
    graph = quantized(CONV, POINTWISE, DEPTHWISE, SUM)
    feeds = to_feeds(residual(), samples(4))
    values = run_int(graph, quantize_feeds(graph, feeds))
    a, b, total = (
        dequantize(values[name], graph.tensors[name].scale, 0) for name in (CONV, POINTWISE, SUM)
    )
    ceiling = 32767 * graph.tensors[SUM].scale
    exact = np.clip(a + b, 0, ceiling)
    assert np.abs(total - exact).max() <= 1.01 * graph.tensors[SUM].scale
