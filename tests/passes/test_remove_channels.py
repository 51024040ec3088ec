"""Removal of channels that no output depends on: each rule by hand, and random networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.ir import Attributes, QuantParams
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.split import SplitAttributes
from edgecnn.ops.sub import SubAttributes
from edgecnn.parity import random_feeds
from edgecnn.passes.channel_ranges import channel_ranges
from edgecnn.passes.remove_channels import remove_channels
from edgecnn.simulator import run_int
from edgecnn.support import problems
from tests.passes.idle_networks import idle_network
from tests.passes.int8_sketch import SCALE, Int8Sketch
from tests.passes.removal import LARGE, SAME, checked, constant, removed, weights, without

# --- dead channels ----------------------------------------------------------------------------


def test_a_channel_without_weights_behind_it_is_dead() -> None:
    s = Int8Sketch(1, 5, 5, 2)
    hidden = s.conv(s.x, weights(4, 3, 3, 2), [10, 20, 30, 40], padding=SAME)
    last = s.conv(hidden, without(weights(3, 1, 1, 4), 1), [1, 2, 3])
    done = checked(graph := s.graph(last))
    assert done.report_or_fail.removed == {hidden: 1}
    first, second = done.graph.nodes
    assert first.output == f"{hidden}/kept"
    assert done.removal.names == {hidden: f"{hidden}/kept"}
    rows = [0, 2, 3]
    given = graph.tensors[graph.nodes[0].inputs[1]]
    left = done.graph.tensors[first.inputs[1]]
    assert given.data is not None
    assert given.quant is not None
    assert left.data is not None
    np.testing.assert_array_equal(left.data, given.data[rows])
    assert left.quant == QuantParams(tuple(given.quant.scale[i] for i in rows), (0, 0, 0), 0)
    np.testing.assert_array_equal(constant(done.graph, first, 2), [10, 30, 40])
    np.testing.assert_array_equal(constant(done.graph, second, 2), [1, 2, 3])
    assert done.graph.tensors[second.inputs[1]].shape == (3, 1, 1, 3)


def test_deadness_goes_through_a_depthwise_chain() -> None:
    s = Int8Sketch(1, 6, 6, 2)
    a = s.conv(s.x, weights(5, 2))
    b = s.depthwise(a, weights(1, 3, 3, 5), padding=SAME)
    c = s.emit("relu", [b])
    d = s.depthwise(c, weights(1, 2, 2, 5))
    e = s.emit("average_pool2d", [d], AveragePool2DAttributes((2, 2)))
    last = s.conv(e, without(weights(2, 5), 0, 4))
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == dict.fromkeys([a, b, c, d, e], 2)
    assert done.graph.tensors[f"{e}/kept"].shape == (1, 4, 4, 3)


def test_a_channel_goes_with_all_that_a_depthwise_layer_makes_of_it() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2))
    b = s.depthwise(a, weights(1, 1, 1, 6))
    last = s.conv(b, without(weights(2, 6), 0, 2, 3))
    assert removed(s.graph(last)) == {a: 1, b: 2}


def test_a_chain_of_dead_layers_collapses() -> None:
    """The dead channels of one layer are all that the layer before it would be needed for."""
    s = Int8Sketch(1, 4, 4, 3)
    a = s.conv(s.x, weights(4, 3))
    middle = weights(4, 4)
    middle[:2, 3] = 0  # only the rows 2 and 3, which are dead, read channel 3
    b = s.conv(a, middle)
    last = s.conv(b, without(weights(2, 4), 2, 3))
    assert removed(s.graph(last)) == {a: 1, b: 2}


def test_what_two_read_goes_only_if_both_do_without() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(4, 2))
    left = s.conv(a, without(weights(2, 4), 0, 1))
    right = s.conv(a, without(weights(2, 4), 1, 2))
    assert removed(s.graph(left, right)) == {a: 1}


# --- residual sums ----------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "mul", "sub", "maximum", "squared_difference"])
def test_operands_lose_channels_together(op: str) -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a, b = s.conv(s.x, weights(4, 2)), s.conv(s.x, weights(4, 2, seed=1))
    fused: dict[str, Attributes] = {
        "add": AddAttributes(), "mul": MulAttributes(), "sub": SubAttributes()
    }  # fmt: skip
    both = s.emit(op, [a, b], fused.get(op))
    last = s.conv(both, without(weights(2, 4), 3))
    assert removed(s.graph(last)) == {a: 1, b: 1, both: 1}


def test_a_channel_that_another_layer_reads_holds_those_that_are_added_to_it() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a, b = s.conv(s.x, weights(4, 2)), s.conv(s.x, weights(4, 2, seed=1))
    both = s.emit("add", [a, b], AddAttributes())
    last = s.conv(both, without(weights(2, 4), 2, 3))
    other = s.conv(a, without(weights(2, 4), 0, 1, 3))
    done = checked(s.graph(last, other))
    assert done.report_or_fail.removed == {a: 1, b: 1, both: 1}


def test_a_sum_with_an_input_of_the_graph_keeps_all_channels() -> None:
    s = Int8Sketch(1, 4, 4, 3)
    a = s.conv(s.x, weights(3, 3))
    both = s.emit("add", [a, s.x], AddAttributes())
    last = s.conv(both, without(weights(2, 3), 0))
    assert removed(s.graph(last)) == {}


def test_constants_beside_an_activation_are_cut() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(4, 2))
    scaled = s.emit("mul", [s.constant([[[9, 8, 7, 6]]]), a], MulAttributes())
    shifted = s.emit("add", [scaled, s.constant([[[5]]])], AddAttributes())
    last = s.conv(shifted, without(weights(2, 4), 1))
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {a: 1, scaled: 1, shifted: 1}
    np.testing.assert_array_equal(constant(done.graph, done.graph.nodes[1], 0), [[[9, 7, 6]]])


# --- shapes -----------------------------------------------------------------------------------


def test_flattening_keeps_channels_apart() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(4, 2))
    flat = s.emit("reshape", [a], ReshapeAttributes((1, 36)))
    kernel = weights(5, 36)
    kernel[:, 2::4] = 0  # channel 2 of every pixel
    kernel[:, 0] = 0  # channel 0 of one pixel only
    done = checked(s.graph(s.dense(flat, kernel)))
    assert done.report_or_fail.removed == {a: 1, flat: 9}
    assert done.graph.nodes[1].attributes == ReshapeAttributes((1, 27))


def test_concat_and_split_hand_channels_on() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    quant = QuantParams.per_tensor(SCALE, 4)
    a, b = s.conv(s.x, weights(3, 2), quant=quant), s.conv(s.x, weights(2, 2), quant=quant)
    joined = s.emit("concat", [a, b], ConcatAttributes(3))
    left, right = s.emit_many("split", [joined], SplitAttributes(3, (2, 3)))
    outputs = s.conv(left, without(weights(2, 2), 1)), s.conv(right, without(weights(2, 3), 0, 1))
    done = checked(s.graph(*outputs))
    # Channels 1 and 2 of the first, channel 0 of the second.
    assert done.report_or_fail.removed == {a: 2, b: 1, joined: 3, left: 1, right: 2}
    assert done.graph.nodes[3].attributes == SplitAttributes(3, (1, 1))


def test_operators_that_mix_channels_keep_all() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(3, 2))
    b = s.emit("softmax", [a], SoftmaxAttributes())
    last = s.conv(b, without(weights(2, 3), 0))
    assert removed(s.graph(last)) == {}


def test_groups_keep_all() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(4, 2))
    b = s.conv(a, weights(4, 1, 1, 2), groups=2)
    last = s.conv(b, without(weights(2, 4), 0))
    assert removed(s.graph(last)) == {}


# --- ends -------------------------------------------------------------------------------------


def test_outputs_keep_constant_channels_but_not_what_they_were_computed_from() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(3, 2))
    kernel = without(weights(3, 3), 1)
    kernel[0] = (3, 4, 5)
    last = s.conv(a, kernel, [LARGE, 0, 0])
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {a: 1}  # only the constant row reads channel 1
    assert done.graph.tensors[last].shape == (1, 3, 3, 3)


def test_a_hidden_tensor_that_is_an_output_keeps_all() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(3, 2))
    last = s.conv(a, without(weights(2, 3), 1))
    assert removed(s.graph(a, last)) == {}


def test_every_tensor_keeps_a_channel() -> None:
    """Of a network whose last layer reads nothing."""
    s = Int8Sketch(1, 4, 4, 3)
    a = s.conv(s.x, weights(5, 3, 3, 3), padding=SAME)
    b = s.depthwise(a, weights(1, 3, 3, 5))
    c = s.conv(b, weights(6, 5))
    last = s.dense(c, np.zeros((2, 24)), [300, -400])
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {a: 4, b: 4, c: 5}
    assert done.report_or_fail.weights_after == 27 + 9 + 1 + 8
    assert not np.any(constant(done.graph, done.graph.nodes[2], 1))  # it need not be right


def test_what_no_output_needs_holds_nothing() -> None:
    s = Int8Sketch(1, 3, 3, 2)
    a = s.conv(s.x, weights(3, 2))
    s.emit("softmax", [a], SoftmaxAttributes())  # mixes all channels, for nobody
    last = s.conv(a, without(weights(2, 3), 1))
    assert removed(s.graph(last)) == {a: 1}


def test_nothing_to_remove_gives_the_graph_itself() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    graph = s.graph(s.conv(s.conv(s.x, weights(3, 2)), weights(2, 3)))
    assert remove_channels(graph).graph is graph
    assert remove_channels(graph).names == {}


def test_new_names_are_free() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2))
    b = s.conv(a, without(weights(3, 3), 1))
    graph = s.graph(s.conv(b, without(weights(2, 3), 0)))
    taken = f"{a}/kept"
    rename = {b: taken}
    nodes = tuple(
        dataclasses.replace(
            n,
            inputs=tuple(rename.get(name, name) for name in n.inputs),
            outputs=tuple(rename.get(name, name) for name in n.outputs),
        )
        for n in graph.nodes
    )
    tensors = {n: t for n, t in graph.tensors.items() if n != b}
    tensors[taken] = dataclasses.replace(graph.tensors[b], name=taken)
    done = checked(graph.replace(nodes=nodes, tensors=tensors))
    assert done.report_or_fail.removed == {a: 1, taken: 1}
    assert done.removal.names == {a: f"{a}/kept_1", taken: f"{taken}/kept"}


def test_shared_weights_are_cut_for_each_layer() -> None:
    s = Int8Sketch(1, 4, 4, 3)
    a = s.conv(s.x, weights(3, 3))
    kernel = s.nodes[0].inputs[1]
    s.nodes.append(dataclasses.replace(s.nodes[0], inputs=(a, kernel), outputs=("again",)))
    s.tensors["again"] = dataclasses.replace(s.tensors[a], name="again")
    last = s.conv("again", without(weights(2, 3), 2))
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {"again": 1}
    assert done.report_or_fail.weights_before == 9 + 6
    assert done.report_or_fail.weights_after == 9 + 6 + 4


# --- the report -------------------------------------------------------------------------------


def test_the_report_counts_weights_and_macs() -> None:
    s = Int8Sketch(1, 5, 5, 2)
    a = s.conv(s.x, weights(4, 2))
    kernel = without(weights(3, 4), 1)
    kernel[0, 0] = 0
    report = checked(s.graph(s.conv(a, kernel))).report_or_fail
    assert (report.weights_before, report.weights_after) == (8 + 12, 6 + 9)
    assert report.weights_idle == 2 + 3 + 1
    assert (report.macs_before, report.macs_after) == (25 * 20, 25 * 15)
    assert report.summary() == (
        "30 % of the weights never mattered; channels removed: 1, weights left: 15 of 20, "
        "MACs left: 375 of 500"
    )
    assert report.to_json()["removed"] == {a: 1}


#: Weights and multiply-accumulates that are left of official models.
OFFICIAL = {
    "mlperf_tiny/vww_96_int8": (208_112, 29_066, 7_489_664, 3_727_313),
    "tflm/hello_world_int8": (288, 220, 288, 220),
    "mlperf_tiny/pretrainedResnet_quant": (77_360, 77_360, 12_501_632, 12_501_632),
}


@pytest.mark.parametrize("model", OFFICIAL)
def test_official_models(model: str, shared_path: Callable[[str], Path]) -> None:
    graph = edgecnn.load(shared_path(f"models/{model}.tflite"))
    report = checked(graph, samples=2).report_or_fail
    found = (report.weights_before, report.weights_after, report.macs_before, report.macs_after)
    assert found == OFFICIAL[model]


# --- random networks --------------------------------------------------------------------------

NETWORKS_OF_A_TEST = 60


def check_random(seed: int) -> int:
    """Outputs, tensors that keep their name, and ranges of random networks; channels removed."""
    rng, going = np.random.default_rng(seed), 0
    for _ in range(NETWORKS_OF_A_TEST):
        graph = idle_network(rng)
        assert not problems(graph)
        done = checked(graph, samples=8, seed=seed)
        going += sum(done.report_or_fail.removed.values())
        assert remove_channels(done.graph).graph is done.graph
        ranges = channel_ranges(graph)
        for name, values in run_int(graph, random_feeds(graph, 8, seed)).items():
            rows = values.reshape(-1, values.shape[-1])
            assert np.all(rows >= ranges[name].low), name
            assert np.all(rows <= ranges[name].high), name
    return going


@pytest.mark.parametrize("seed", range(5))
def test_random_networks(seed: int) -> None:
    assert check_random(seed) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_more_random_networks(seed: int) -> None:
    assert check_random(seed) > 100
