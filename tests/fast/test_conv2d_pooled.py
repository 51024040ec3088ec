"""A convolution and the maximum pooling behind it, computed as one layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Graph, Node
from edgecnn.operators import Dialect, operator
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.pool_operator import PoolParams
from edgecnn.windows import Window, count_inside, same_padding
from firmware_export.c_writer import to_c
from firmware_export.fast_kernel import SHARED
from firmware_export.fused.conv2d_pooled import MAX_POSITIONS, with_limits_of
from firmware_export.fused_kernel import fused_kernels, pairs
from tests.conftest import REPOSITORY
from tests.fast.fused_cases import Pooled, fused_layers, is_taken, pair_graph, pooling
from tests.fast.kernel_table import check_layers
from tests.fast.layer_table import LAYERS, layers
from tests.ops.case_table import (
    ACTIVATIONS,
    PROVENANCE,
    Case,
    Constant,
    Rng,
    Value,
    build,
    draw,
)
from tests.ops.test_conv2d import conv

KERNEL = "conv2d_pooled"
HALVES = MaxPool2DAttributes((2, 2), (2, 2))

CASES: list[Pooled] = [
    (conv("halves", (8, 6, 1), (8, 3, 3, 1), padding=(1, 1, 1, 1)), HALVES),
    (conv("leaves-a-rest", (7, 5, 3), (6, 2, 2, 3), padding=(0, 1, 0, 1)), HALVES),
    (conv("pointwise", (4, 6, 5), (7, 1, 1, 5)), HALVES),
    (conv("strided", (11, 9, 2), (3, 3, 3, 2), stride=(2, 1)), HALVES),
    (conv("dilated", (9, 9, 2), (4, 3, 2, 2), dilation=(2, 1), padding=(2, 2, 1, 1)), HALVES),
    (conv("one-filter", (4, 4, 2), (1, 3, 3, 2), padding=(1, 1, 1, 1)), HALVES),
    (conv("no-bias", (4, 4, 4), (5, 3, 3, 4), bias=False), HALVES),
    (conv("row", (1, 20, 3), (4, 1, 5, 3)), MaxPool2DAttributes((1, 2), (1, 2))),
    (conv("odd", (9, 9, 2), (5, 3, 3, 2)), MaxPool2DAttributes((3, 3), (3, 3))),
    (conv("overlaps", (8, 8, 2), (4, 3, 3, 2)), MaxPool2DAttributes((3, 3), (1, 2))),
    (
        conv("padded", (7, 6, 2), (4, 3, 3, 2), padding=(1, 1, 1, 1)),
        MaxPool2DAttributes((3, 3), (2, 2), (1, 1, 1, 1)),
    ),
    (conv("lopsided", (6, 6, 2), (4, 1, 1, 2)), MaxPool2DAttributes((3, 2), (1, 1), (2, 0, 0, 1))),
    (conv("gaps", (9, 9, 2), (4, 1, 1, 2)), MaxPool2DAttributes((1, 2), (3, 4))),
    (conv("window-of-one", (4, 4, 2), (4, 1, 1, 2)), MaxPool2DAttributes((1, 1), (3, 2))),
    (conv("most", (6, 4, 2), (4, 3, 1, 2)), MaxPool2DAttributes((4, 4))),
    *((conv(f"at-{z}", (4, 4, 3), (4, 2, 2, 3), zero_point=z), HALVES) for z in (-128, 127)),
    *(
        (conv(f"{a}-{b}", (4, 4, 3), (4, 1, 1, 3), activation=a), MaxPool2DAttributes(
            (2, 2), (2, 2), activation=b
        ))
        for a in ACTIVATIONS
        for b in ACTIVATIONS
    ),
]  # fmt: skip


def random_pooled(rng: Rng, case: Case) -> Pooled:
    """A window of any kind over what a convolution gives."""
    _, height, width, _ = build([case]).tensors[case.name].shape
    any_size = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    high, wide = draw(rng, ((2, 2), (3, 3), any_size))
    size = (min(high, height), min(wide, width))
    stride = draw(rng, (size, (int(rng.integers(1, 4)), int(rng.integers(1, 4)))))
    t, b, left, right = (int(rng.integers(0, k)) for k in (size[0], size[0], size[1], size[1]))
    same = same_padding((height, width), size, stride)
    padding = draw(rng, ((0, 0, 0, 0), (0, 0, 0, 0), same, (t, b, left, right)))
    if np.any(count_inside(Window(size, stride, padding), (height, width)) == 0):
        padding = (0, 0, 0, 0)
    return case, MaxPool2DAttributes(size, stride, padding, draw(rng, ACTIVATIONS))


def random_pairs(start: int, count: int) -> list[Pooled]:
    """Convolutions of the table that the kernel can compute, integers at their ends among them."""
    rng = np.random.default_rng(start)
    found = [random_pooled(rng, case) for case in layers("conv2d")[start : start + count]]
    return [pooled for pooled in found if is_taken(KERNEL, pooled)]


def extreme(name: str, weight: int, zero_point: int, output: tuple[float, int]) -> Pooled:
    """Weights all of one magnitude, in five patterns of signs: sums at the ends of their range."""
    depth = 5
    signs = np.ones((5, 9 * depth), int)
    signs[1] = -1
    signs[2, ::2] = -1
    signs[3, 1::2] = -1
    signs[4, ::3] = -1
    weights = np.clip(signs * weight, -128, 127).astype(np.int8).reshape(5, 3, 3, depth)
    inputs = (Value((1, 6, 7, depth), 0.05, zero_point), Constant(weights, (0.01,)), None)
    attributes = Conv2DAttributes(padding=(1, 1, 1, 1))
    return Case(name, "conv2d", inputs, attributes, output), HALVES


EXTREMES = [
    extreme(f"weights-{weight}-zero-{zero}-scale-{i}", weight, zero, (scale, out))
    for i, (scale, out) in enumerate([(0.2, -128), (0.3, 3), (40.0, 127), (0.002, 0)])
    for weight, zero in ((127, -128), (-127, 127), (-128, 127), (127, 0))
]


def check(cases: list[Pooled], directory: Path, kernel: str = KERNEL) -> None:
    """The kernel's bytes for pairs that it can compute, all of them."""
    graph = pair_graph(cases)
    layers = fused_layers(kernel, graph)
    assert len(layers) == len(cases)
    check_layers(graph, layers, directory)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_shared_by_all_shapes(tmp_path: Path) -> None:
    check(CASES, tmp_path, KERNEL + SHARED)


def test_extremes(tmp_path: Path) -> None:
    check(EXTREMES, tmp_path)


@pytest.mark.parametrize("start", [0])
def test_random(start: int, tmp_path: Path) -> None:
    pairs = random_pairs(start, 40)
    assert len(pairs) >= 30
    check(pairs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(40, LAYERS, 40))
def test_many(start: int, tmp_path: Path) -> None:
    check(random_pairs(start, 40), tmp_path)


def test_filters_with_gaps_are_refused() -> None:
    case = conv("dilated", (9, 9, 2), (4, 3, 2, 2), dilation=(1, 2))
    assert not is_taken(KERNEL, (case, HALVES))


def test_larger_windows_are_refused() -> None:
    case = conv("large", (9, 9, 2), (4, 1, 1, 2))
    assert is_taken(KERNEL, (case, MaxPool2DAttributes((2, 8))))
    assert MAX_POSITIONS == 2 * 8
    assert not is_taken(KERNEL, (case, MaxPool2DAttributes((2, 9))))


def test_what_is_seen_elsewhere_is_stored() -> None:
    """A convolution that is an output, or that another layer takes, too."""
    case = conv("c", (6, 6, 2), (4, 3, 3, 2))
    graph = pair_graph([(case, HALVES)])
    assert pairs(graph) == [(0, 1)]
    assert pairs(graph.replace(outputs=("c/pooled", "c"))) == []
    again, tensor = pooling(graph, "c", HALVES)
    second = dataclasses.replace(again, outputs=("again",))
    tensors = {**graph.tensors, "again": dataclasses.replace(tensor, name="again")}
    both = ("c/pooled", "again")
    more = graph.replace(nodes=(*graph.nodes, second), tensors=tensors, outputs=both)
    assert pairs(more) == []


def test_limits_of_both_layers_are_one() -> None:
    """Clamping twice is clamping once, for all limits, meeting or not."""
    params = operator("conv2d").lower(*_first_node(), Dialect.TFLM)
    values = np.arange(-130, 131)
    ends = [(a, b) for a in range(-128, 128, 15) for b in range(a, 128, 15)]
    for a, b in ends:
        first = dataclasses.replace(params, activation_min=a, activation_max=b)
        for c, d in ends:
            pool = PoolParams((1, 4, 4, 4), (1, 2, 2, 4), Window((2, 2), (2, 2)), c, d)
            both = with_limits_of(first, pool)
            np.testing.assert_array_equal(
                values.clip(a, b).clip(c, d), values.clip(both.activation_min, both.activation_max)
            )


def _first_node() -> tuple[Node, Graph]:
    graph = build([conv("c", (4, 4, 3), (4, 1, 1, 3))])
    return graph.nodes[0], graph


def test_the_kernel_of_no_tensor_between(tmp_path: Path) -> None:
    """The C neither shows nor stores the tensor between, and numbers the others as before."""
    graph = pair_graph([(conv("c", (8, 8, 3), (8, 3, 3, 3)), HALVES)])
    plain = to_c(graph, "net", PROVENANCE)
    fused = to_c(graph, "net", PROVENANCE, chosen=fused_layers(KERNEL, graph))
    assert {b.name for b in plain.plan.buffers} - {b.name for b in fused.plan.buffers} >= {"c"}
    assert "NET_ON_TENSOR(1," in plain.files["net.c"]
    assert "NET_ON_TENSOR(1," not in fused.files["net.c"]
    assert "NET_ON_TENSOR(2," in fused.files["net.c"]
    assert fused.layers[0] is None


def test_every_fused_kernel_has_its_parts() -> None:
    for stem in fused_kernels():
        assert (REPOSITORY / f"firmware_export/kernels/{stem}.h").is_file()
        assert (REPOSITORY / f"tests/fast/test_{stem}.py").is_file()
