from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.passes.merge_transposes import merge_transposes
from tests.passes.graphs import Sketch, assert_same
from tests.torch_helpers import check_module, counts


def move(s: Sketch, x: str, *steps: tuple[int, ...] | list[int]) -> str:
    """A chain of reshapes (tuples are shapes) and transposes (lists are orders)."""
    for i, step in enumerate(steps):
        reshapes = isinstance(step, tuple)
        attributes = ReshapeAttributes(step) if reshapes else TransposeAttributes(tuple(step))
        x = s.emit("reshape" if reshapes else "transpose", [x], attributes, f"m{i}")  # type: ignore[arg-type]
    return x


def test_a_channel_shuffle_takes_one_transpose() -> None:
    s = Sketch(1, 4, 5, 6)
    y = move(s, s.x, [0, 3, 1, 2], (1, 2, 3, 4, 5), [0, 2, 1, 3, 4], (1, 6, 4, 5), [0, 2, 3, 1])
    before = s.graph(s.emit("relu", [y]))
    after = merge_transposes(before)
    assert_same(before, after)
    orders = [n.attributes for n in after.nodes if n.op == "transpose"]
    assert orders == [TransposeAttributes((0, 1, 3, 2))]


@pytest.mark.parametrize(
    ("steps", "transposes"),
    [
        (([0, 2, 3, 1], (1, 5, 6, 4), [0, 3, 1, 2]), 0),
        (([0, 2, 3, 1], (1, 30, 4), [0, 2, 1], (1, 4, 30)), 0),
        (([0, 3, 1, 2], (1, 6, 20), [0, 2, 1]), 0),
        (([0, 3, 1, 2], (1, 120), (1, 2, 3, 20), [0, 3, 2, 1]), 1),
        (([0, 3, 1, 2], (1, 8, 15), [0, 2, 1]), 2),  # cuts the 6 channels unevenly
        (([0, 3, 1, 2],), 1),
    ],
)
def test_as_few_transposes_as_possible(
    steps: tuple[tuple[int, ...] | list[int], ...], transposes: int
) -> None:
    s = Sketch(1, 4, 5, 6)
    before = s.graph(s.emit("relu", [move(s, s.x, *steps)]))
    after = merge_transposes(before)
    assert_same(before, after)
    assert counts(after)["transpose"] == transposes


def test_what_others_read_stays() -> None:
    s = Sketch(1, 4, 5, 6)
    first = move(s, s.x, [0, 3, 1, 2])
    second = s.emit("transpose", [first], TransposeAttributes((0, 2, 3, 1)), "back")
    before = s.graph(s.emit("relu", [first], name="a"), s.emit("relu", [second], name="b"))
    after = merge_transposes(before)
    assert_same(before, after)
    assert counts(after)["transpose"] == 2


def test_random_chains() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        s = Sketch(1, 2, 3, 4)
        shape, steps = (1, 2, 3, 4), []
        for _ in range(int(rng.integers(2, 6))):
            if rng.integers(2):
                order = [0, *(1 + rng.permutation(len(shape) - 1)).tolist()]
                shape = tuple(shape[axis] for axis in order)
                steps.append(order)
            else:
                shapes = [(1, 24), (1, 4, 6), (1, 2, 12), (1, 2, 3, 4), (1, 6, 2, 2), (1, 3, 8)]
                shape = shapes[int(rng.integers(len(shapes)))]
                steps.append(shape)
        before = s.graph(s.emit("relu", [move(s, s.x, *steps)]))
        after = merge_transposes(before)
        assert_same(before, after)
        assert counts(after)["transpose"] <= counts(before)["transpose"]


class Shuffle(nn.Module):
    """As published implementations of ShuffleNet write it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        first, second = y.chunk(2, 1)
        return torch.cat([self.second(y), first, torch.relu(second)], 1)


def test_a_network_that_shuffles() -> None:
    """Nothing is left of the shuffle: the first convolution's filters are in its order."""
    graph = check_module(Shuffle(), (1, 3, 9, 8))
    assert counts(graph).keys() == {"conv2d", "split", "relu", "concat"}
