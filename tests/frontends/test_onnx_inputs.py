"""Input shapes of ONNX networks: declared, dynamic, given."""

from __future__ import annotations

from typing import Any

import pytest
from onnx.helper import make_node as node

from edgecnn.errors import UserError
from tests.frontends.onnx_cases import (
    network,
)
from tests.onnx_models import (
    model_of,
    read,
    value,
)


def dynamic_model(*shape: Any) -> Any:
    return network([node("Relu", ["x"], ["y"])], {}, shape=shape)


@pytest.mark.parametrize("given", [{"x": (1, 3, 8, 6)}, [(1, 3, 8, 6)]])
def test_dynamic_shapes_are_completed(given: Any) -> None:
    graph = read(dynamic_model("n", 3, "h", "w"), given)
    assert graph.tensors["x"].shape == (1, 8, 6, 3)


@pytest.mark.parametrize("batch", [-1, 0])
def test_sizes_under_1_are_dynamic(batch: int) -> None:
    assert read(dynamic_model(batch, 5)).tensors["x"].shape == (1, 5)


def test_a_fixed_batch_can_be_made_1() -> None:
    assert read(dynamic_model(16, 5), [(1, 5)]).tensors["x"].shape == (1, 5)


SHAPES: dict[str, tuple[tuple[Any, ...] | None, Any, str]] = {
    "dynamic": (("n", 3, "h", None), None, "--input-shape x:1,3,32,32 or"),
    "undeclared": (None, None, "declares no shape"),
    "fixed batch": ((4, 3, 8, 8), None, "fixed batch of 4"),
    "given batch": (("n", 5), [(4, 5)], "fixed batch of 4"),
    "no batch": ((5,), None, "no batch dimension"),
    "contradiction": (("n", 3, 8, 8), [(1, 3, 8, 9)], "contradicts"),
    "another rank": (("n", 3, 8, 8), [(1, 3)], "contradicts"),
    "another name": (("n", 5), {"z": (1, 5)}, "names 'z'; the network's inputs: x"),
    "too many": (("n", 5), [(1, 5), (1, 5)], "is given 2 times; the network's inputs: x"),
    "nothing": ((1, 0), None, "the dynamic shape (1, ?)"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPES)
def test_refuses_shapes(case: str) -> None:
    shape, given, message = SHAPES[case]
    model = model_of([node("Relu", ["x"], ["y"])], [value("x", shape)])
    with pytest.raises(UserError) as error:
        read(model, given)
    assert message in str(error.value)
