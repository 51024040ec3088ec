"""The quantization error of each tensor, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.ir import INT8, Array, Graph, Node, QuantParams, Tensor
from edgecnn.quantization.error import layer_errors, sqnr_db

SCALE = 0.5


def float_graph() -> Graph:
    tensors = {name: Tensor(name, (1, 4)) for name in ("x", "y")}
    return Graph("relu", (Node("relu", ("x",), ("y",)),), tensors, ("x",), ("y",))


def int8_graph(scale: float = SCALE) -> Graph:
    graph = float_graph()
    quant = QuantParams.per_tensor(scale, 0)
    tensors = {name: Tensor(name, (1, 4), INT8, None, quant) for name in graph.tensors}
    return graph.replace(tensors=tensors)


def feeds(*rows: list[float]) -> dict[str, Array]:
    return {"x": np.array(rows, np.float32).reshape(len(rows), 1, 4)}


def test_values_on_the_grid_have_no_error() -> None:
    errors = layer_errors(float_graph(), int8_graph(), feeds([-1.0, 0.0, 0.5, 2.0]))
    assert [(e.tensor, e.op) for e in errors] == [("x", "input"), ("y", "relu")]
    assert all(e.sqnr_db == math.inf and e.max_abs_error == 0.0 for e in errors)
    assert all(e.scale == SCALE and e.cosine == pytest.approx(1.0) for e in errors)


def test_the_ratio_is_that_of_the_powers() -> None:
    # 1.2 becomes 1.0 and -1.2 becomes -1.0: signal 2 * 1.44 + 9, noise 2 * 0.04.
    x, y = layer_errors(float_graph(), int8_graph(), feeds([1.2, -1.2, 3.0, 0.0]))
    assert x.sqnr_db == pytest.approx(10 * math.log10(11.88 / 0.08), abs=1e-4)
    assert y.sqnr_db == pytest.approx(10 * math.log10(10.44 / 0.04), abs=1e-4)
    assert x.cosine == pytest.approx(11.4 / math.sqrt(11.88 * 11.0), abs=1e-6)
    assert (x.low, x.high, y.low) == (np.float32(-1.2), 3.0, 0.0)
    assert x.max_abs_error == y.max_abs_error == pytest.approx(0.2, abs=1e-6)


def test_noise_without_signal_is_minus_infinity() -> None:
    assert sqnr_db(0.0, 1.0) == -math.inf
    assert sqnr_db(0.0, 0.0) == math.inf
    assert sqnr_db(100.0, 1.0) == pytest.approx(20.0)


def test_half_the_step_gains_six_decibels() -> None:
    x = np.random.default_rng(0).uniform(-10, 10, (200, 1, 4)).astype(np.float32)
    coarse = layer_errors(float_graph(), int8_graph(0.2), {"x": x})[0].sqnr_db
    fine = layer_errors(float_graph(), int8_graph(0.1), {"x": x})[0].sqnr_db
    assert fine - coarse == pytest.approx(6.02, abs=0.8)


def test_all_samples_count_across_chunks() -> None:
    # More samples than one chunk holds; the single wrong value lies in the last one.
    x = np.ones((150, 1, 4), np.float32)
    x[-1, 0, 3] = 1.2
    error = layer_errors(float_graph(), int8_graph(), {"x": x})[0]
    assert error.max_abs_error == pytest.approx(0.2, abs=1e-6)
    assert error.sqnr_db == pytest.approx(10 * math.log10((599 + 1.44) / 0.04), abs=1e-3)


def test_tensors_of_one_graph_only_or_of_another_shape_are_left_out() -> None:
    graph = int8_graph()
    extra = Tensor("z", (1, 4), INT8, None, QuantParams.per_tensor(SCALE, 0))
    graph = graph.replace(
        nodes=(*graph.nodes, Node("relu", ("y",), ("z",))), tensors={**graph.tensors, "z": extra}
    )
    names = [e.tensor for e in layer_errors(float_graph(), graph, feeds([1.0, 2.0, 3.0, 4.0]))]
    assert names == ["x", "y"]


def test_no_sample_is_refused() -> None:
    with pytest.raises(DataError, match="at least one sample"):
        layer_errors(float_graph(), int8_graph(), {"x": np.empty((0, 1, 4), np.float32)})
