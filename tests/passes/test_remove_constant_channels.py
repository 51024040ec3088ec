"""Removal of channels that have one value for every input."""

from __future__ import annotations

import bisect

import numpy as np
import pytest

from edgecnn.ir import Array, Graph, QuantParams
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from edgecnn.windows import Padding
from tests.passes.int8_sketch import SCALE, ZERO_POINT, Int8Sketch
from tests.passes.removal import LARGE, SAME, checked, constant, removed, weights


def test_a_channel_without_weights_is_constant_and_goes_into_the_bias() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    first = weights(3, 2)
    first[1] = 0
    a = s.conv(s.x, first, [100, 700, 100])
    kernel = weights(2, 3)
    last = s.conv(a, kernel, [1000, -1000])
    graph = s.graph(last)
    value = int(run_int(graph, random_feeds(graph, 1, 0))[a][0, 0, 0, 0, 1])
    assert value not in (-128, 127, ZERO_POINT)
    done = checked(graph)
    assert done.report_or_fail.removed == {a: 1}
    bias = constant(done.graph, done.graph.nodes[1], 2)
    np.testing.assert_array_equal(bias, [1000, -1000] + kernel[:, 1] * (value - ZERO_POINT))


@pytest.mark.parametrize(
    ("activation", "bias"), [("none", LARGE), ("none", -LARGE), ("relu6", LARGE)]
)
def test_a_channel_that_always_saturates_is_constant(activation: str, bias: int) -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2), [0, bias, 0], activation=activation)
    last = s.dense(a, weights(4, 48))
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {a: 1}
    assert len(done.graph.nodes[1].inputs) == 3  # it had no bias


#: One step is 100 steps of an accumulator.
CENTRED = QuantParams.per_tensor(SCALE, 0)


def with_bias(bias: int) -> tuple[Graph, str]:
    """A channel of weight 1 and some bias; all its inputs are bytes, with a zero point of 0."""
    s = Int8Sketch(1, 1, 1, 1, zero_point=0)
    a = s.conv(s.x, [[1], [1]], [bias, 0], quant=CENTRED)
    return s.graph(s.dense(a, weights(2, 2))), a


def saturates(bias: int) -> bool:
    """Whether the channel is 127 for every input."""
    graph, a = with_bias(bias)
    every_byte = np.arange(-128, 128, dtype=np.int8).reshape(256, 1, 1, 1, 1)
    return bool(np.all(run_int(graph, {"x": every_byte})[a][..., 0] == 127))


def test_the_bound_of_saturation_is_exact() -> None:
    """With one less in the bias, a single input reaches a second value."""
    least = bisect.bisect_left(range(40_000), True, key=saturates)
    assert 12_000 < least < 14_000
    graph, a = with_bias(least)
    assert removed(graph) == {a: 1}
    assert removed(with_bias(least - 1)[0]) == {}


def test_constants_go_through_elementwise_operators() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2), [0, -LARGE, 0])
    b = s.conv(s.x, weights(3, 2), [0, LARGE, 0])
    both = s.emit("add", [a, b], AddAttributes())
    table = s.emit("tanh", [both], quant=QuantParams.per_tensor(1 / 128, 0))
    last = s.conv(table, weights(2, 3))
    assert removed(s.graph(last)) == dict.fromkeys([a, b, both, table], 1)


def test_a_product_with_nothing_is_constant() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2))
    product = s.emit("mul", [a, s.constant([7, 0, 7])], MulAttributes())
    last = s.conv(product, weights(2, 3))
    assert removed(s.graph(last)) == {a: 1, product: 1}


def test_a_constant_operand_alone_makes_no_sum_constant() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2), [0, -LARGE, 0])
    b = s.conv(s.x, weights(3, 2))
    last = s.conv(s.emit("add", [a, b], AddAttributes()), weights(2, 3))
    assert removed(s.graph(last)) == {}


def test_weights_with_a_zero_point() -> None:
    """Weights that equal it count as nothing; those of 0 do not."""
    s = Int8Sketch(1, 1, 1, 3)
    a = s.conv(s.x, weights(4, 3), [0, LARGE, 0, 0])
    kernel = weights(3, 4)
    kernel[:, 2] = 5
    kernel[:, 3] = 0
    last = s.dense(a, kernel, [1, 2, 3], weights_zero_point=5)
    assert removed(s.graph(last)) == {a: 2}


def test_a_row_that_loses_a_channel_is_replaced_in_terms_of_the_zero_point() -> None:
    """The first row saturates; it alone reads channel 1."""
    s = Int8Sketch(1, 1, 1, 3)
    a = s.conv(s.x, weights(3, 3))
    kernel = weights(3, 3)
    kernel[1:, 1] = 5
    last = s.dense(a, kernel, [LARGE, 2, 3], weights_zero_point=5)
    done = checked(s.graph(last))
    assert done.report_or_fail.removed == {a: 1}
    np.testing.assert_array_equal(constant(done.graph, done.graph.nodes[1], 1)[0], [5, 5])


# --- padding ----------------------------------------------------------------------------------

#: An output scale at which a large negative bias gives the zero point, and a large one does not.
FLOORED = QuantParams.per_tensor(SCALE, -128)


def behind_padding(
    bias: int, kernel: Array, *, padding: Padding = (0, 0, 0, 0), stride: int = 1
) -> tuple[Graph, str]:
    """A constant channel that a padded convolution reads."""
    s = Int8Sketch(1, 5, 5, 2)
    a = s.conv(s.x, weights(3, 2), [0, bias, 0], quant=FLOORED)
    last = s.conv(a, kernel, [1, 2], padding=padding, stride=stride)
    return s.graph(last), a


def test_a_constant_beside_padding_stays_unless_it_is_the_zero_point() -> None:
    kernel = weights(2, 3, 3, 3)
    graph, a = behind_padding(-LARGE, kernel, padding=SAME)
    assert removed(graph) == {a: 1}
    graph, _ = behind_padding(LARGE, kernel, padding=SAME)
    assert removed(graph) == {}
    graph, a = behind_padding(LARGE, kernel)
    assert removed(graph) == {a: 1}


def test_a_constant_goes_where_only_taps_that_padding_never_touches_read_it() -> None:
    kernel = weights(2, 3, 3, 3)
    kernel[:, :, :, 1] = 0
    kernel[:, 1, 1, 1] = (30, -40)
    graph, a = behind_padding(LARGE, kernel, padding=SAME)
    assert removed(graph) == {a: 1}
    kernel[1, 1, 2, 1] = 1
    graph, _ = behind_padding(LARGE, kernel, padding=SAME)
    assert removed(graph) == {}


def test_a_constant_goes_where_no_window_reaches_the_padding() -> None:
    """With steps of 2 over 5 pixels and one of padding at the end, that is never read."""
    graph, a = behind_padding(LARGE, weights(2, 3, 3, 3), padding=(0, 1, 0, 1), stride=2)
    assert removed(graph) == {a: 1}


def test_a_padded_constant_is_constant_no_more() -> None:
    for bias, going in ((-LARGE, 1), (LARGE, 0)):
        s = Int8Sketch(1, 4, 4, 2)
        a = s.conv(s.x, weights(3, 2), [0, bias, 0], quant=FLOORED)
        padded = s.emit("pad", [a], PadAttributes(((0, 0), (1, 0), (0, 1), (0, 0))))
        last = s.conv(padded, weights(2, 3))
        assert removed(s.graph(last)) == ({a: 1, padded: 1} if going else {})


def test_a_depthwise_layer_on_a_padded_constant_varies_in_place() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2), [0, LARGE, 0], quant=FLOORED)
    b = s.depthwise(a, np.full((1, 3, 3, 3), 1), padding=SAME)
    last = s.conv(b, weights(2, 3))
    graph = s.graph(last)
    assert len(np.unique(run_int(graph, random_feeds(graph, 0, 0))[b][0, ..., 1])) > 1
    assert removed(graph) == {}


def test_a_depthwise_layer_that_saturates_beside_padding_too_is_constant() -> None:
    s = Int8Sketch(1, 4, 4, 2)
    a = s.conv(s.x, weights(3, 2), quant=FLOORED)
    b = s.depthwise(a, weights(1, 3, 3, 3), [0, LARGE, 0], padding=SAME)
    last = s.conv(b, weights(2, 3))
    assert removed(s.graph(last)) == {a: 1, b: 1}
