"""The comparison itself: wrong bytes are found, counted and named, whoever computes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.errors import InvariantError, UserError
from edgecnn.ir import Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import Attributes, Dialect, operator
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.parity import Artifact, Mismatch, Runner, Session, random_feeds, verify
from edgecnn.simulator import lower_all, run_int
from firmware_export.runners import litert, numpy_simulator, tflite_runtime, tflm
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import Case, Constant, Value, build

Values = dict[str, Array]


def network() -> Graph:
    """relu, relu6, softmax in a row."""
    quants = {name: QuantParams.per_tensor(0.05, 3) for name in ("x", "first", "second")}
    quants["last"] = QuantParams.per_tensor(1 / 256, -128)
    tensors = {name: Tensor(name, (1, 2, 4), "int8", None, q) for name, q in quants.items()}
    nodes = (
        Node("relu", ("x",), ("first",), Attributes()),
        Node("relu6", ("first",), ("second",), Attributes()),
        Node("softmax", ("second",), ("last",), SoftmaxAttributes()),
    )
    return Graph("net", nodes, tensors, ("x",), ("last",))


@dataclass
class Tampering:
    """A runner that computes rightly, then changes what it shows."""

    change: Callable[[Values], Values]
    name: str = "tampering"
    dialect: Dialect = Dialect.TFLM
    reason: str | None = None
    limit: int | None = None

    def unavailable(self, artifact: Artifact) -> str | None:
        return self.reason

    def open(self, artifact: Artifact) -> Session:
        change = self.change

        class Opened:
            def run(self, feeds: Mapping[str, Array]) -> Values:
                return change({n: a.copy() for n, a in run_int(artifact.graph, feeds).items()})

        class Slow(Opened):
            max_samples = self.limit

        return Opened() if self.limit is None else Slow()


def compare(*runners: Runner, samples: int = 5, graph: Graph | None = None):  # type: ignore[no-untyped-def]
    graph = network() if graph is None else graph
    artifact = Artifact(graph, to_tflite(graph))
    return verify(artifact, (numpy_simulator.RUNNER, *runners), random_feeds(graph, samples, 1))


def flip(tensor: str, *index: int) -> Callable[[Values], Values]:
    def change(values: Values) -> Values:
        values[tensor][index] ^= 1
        return values

    return change


def test_equal_runners_pass() -> None:
    report = compare(Tampering(lambda values: values))
    assert report.passed
    result = report.runners[1]
    assert (result.tensors, result.values, result.mismatches) == (4, 4 * 8 * 8, 0)
    assert result.first_mismatch is None


def test_one_wrong_byte_is_named_with_what_was_expected() -> None:
    graph = network()
    feeds = random_feeds(graph, 5, 1)
    right = int(run_int(graph, feeds)["second"][6, 0, 1, 2])
    report = compare(Tampering(flip("second", 6, 0, 1, 2)))
    assert not report.passed
    result = report.runners[1]
    assert result.mismatches == result.max_abs_diff == 1
    assert result.first_mismatch == Mismatch("second", (6, 0, 1, 2), right, right ^ 1)


def test_the_first_in_execution_order_is_named() -> None:
    def change(values: Values) -> Values:
        values = flip("last", 0, 0, 0, 0)(flip("first", 7, 0, 1, 3)(values))
        return dict(reversed(values.items()))

    result = compare(Tampering(change)).runners[1]
    assert result.mismatches == 2
    assert result.first_mismatch is not None
    assert result.first_mismatch.tensor == "first"


def test_samples_are_numbered_across_chunks() -> None:
    """Runners see chunks; the index that is reported counts all samples."""
    seen: list[int] = []

    def change(values: Values) -> Values:
        seen.append(len(values["last"]))
        return flip("last", 1, 0, 0, 0)(values) if len(seen) == 2 else values

    result = compare(Tampering(change), samples=97).runners[1]
    assert len(seen) == 2
    assert result.first_mismatch is not None
    assert result.first_mismatch.index == (seen[0] + 1, 0, 0, 0)


def test_a_slow_runner_computes_the_first_samples_only() -> None:
    """Five samples are drawn and three extreme ones come first."""
    report = compare(Tampering(flip("last", 0, 0, 0, 0), limit=3), Tampering(lambda v: v, "all"))
    by_name = {r.name: r for r in report.runners}
    slow, full = by_name["tampering"], by_name["all"]
    assert (slow.samples, slow.mismatches, full.samples) == (3, 1, 8)
    assert report.cut_short(slow) == "only the first 3 of 8 samples"
    assert report.cut_short(full) == ""


def test_differences_of_many_samples_add_up() -> None:
    def change(values: Values) -> Values:
        values["last"] = np.clip(values["last"].astype(np.int16) + 5, -128, 127).astype(np.int8)
        return values

    result = compare(Tampering(change), samples=100).runners[1]
    assert result.mismatches > 500
    assert result.max_abs_diff == 5


def test_a_missing_runner_is_reported_with_its_reason() -> None:
    absent = Tampering(lambda values: values, reason="package x is not installed")
    report = compare(absent)
    assert report.passed
    entry = report.to_json()["runners"]["tampering"]
    assert entry["available"] is False
    assert entry["reason"] == "package x is not installed"
    assert entry["values"] == 0


def test_a_hidden_output_is_our_fault() -> None:
    def change(values: Values) -> Values:
        del values["last"]
        return values

    with pytest.raises(InvariantError, match="shows no output 'last'"):
        compare(Tampering(change))


def test_a_hidden_intermediate_tensor_is_not_counted() -> None:
    def change(values: Values) -> Values:
        del values["first"]
        return values

    assert compare(Tampering(change)).runners[1].tensors == 3


def test_nothing_compared_is_not_passed() -> None:
    graph = network()
    feeds = {"x": np.empty((0, 1, 2, 4), np.int8)}
    report = verify(Artifact(graph, b""), [numpy_simulator.RUNNER], feeds)
    assert not report.passed


def test_no_judge_is_a_user_error() -> None:
    graph = network()
    with pytest.raises(UserError, match="parity needs"):
        verify(Artifact(graph, b""), [Tampering(lambda v: v)], random_feeds(graph, 1, 0))


def test_tflm_judges_numpy() -> None:
    graph = network()
    report = compare(tflm.RUNNER)
    assert report.reference == "tflm"
    wrong = Tampering(flip("last", 0, 0, 0, 0), name="numpy")
    artifact = Artifact(graph, to_tflite(graph))
    report = verify(artifact, [wrong, tflm.RUNNER], random_feeds(graph, 3, 1))
    assert [r.mismatches for r in report.runners] == [1, 0]
    assert not report.passed


def test_json_has_the_keys_of_the_interface() -> None:
    report = compare(Tampering(flip("last", 0, 0, 0, 0))).to_json()
    assert report["passed"] is False
    assert report["reference"] == "numpy"
    first = report["runners"]["tampering"]["first_mismatch"]
    assert set(first) == {"tensor", "index", "expected", "got"}
    assert report["runners"]["numpy"]["first_mismatch"] is None


def layer_where_dialects_differ(dialect: Dialect) -> Graph:
    """A fully connected layer whose biases alone are the sums that come out differently.

    Such sums are about one in 100,000, so they are searched for.
    """
    x = Value((1, 1), 0.0371, 0)
    sums = np.arange(-1_200_000, 1_200_000, dtype=np.int32)

    def layer(bias: Array) -> Graph:
        weights = Constant(np.zeros((bias.size, 1), np.int8), (0.00413,), axis=0)
        operands: list[Value | Constant | None] = [x, weights, Constant(bias, (0.0371 * 0.00413,))]
        return build([Case("y", "fully_connected", operands, FullyConnectedAttributes(), (1.3, 0))])

    outputs: list[Array] = []
    for lowered in (lower_all(layer(sums[:1]), d)[0] for d in (Dialect.TFLM, dialect)):
        weights, shape = np.zeros((sums.size, 1), np.int8), (1, sums.size)
        params = dataclasses.replace(lowered, bias=sums, weights=weights, output_shape=shape)
        outputs += operator("fully_connected").evaluate_int(params, [np.zeros((1, 1), np.int8)])
    differ = (outputs[0] != outputs[1]).reshape(-1)
    assert np.any(differ)
    return layer(sums[differ])


@pytest.mark.parametrize("runner", [tflite_runtime.RUNNER, litert.RUNNER], ids=lambda r: r.name)
def test_known_differences_are_predicted_and_counted(runner: Runner) -> None:
    """Both runtimes differ from TFLM in fully connected layers, exactly as their dialects say."""
    graph = layer_where_dialects_differ(runner.dialect)
    artifact = Artifact(graph, to_tflite(graph))
    if runner.unavailable(artifact):
        pytest.skip(f"{runner.name} is not installed")
    runners = (numpy_simulator.RUNNER, tflm.RUNNER, runner)
    report = verify(artifact, runners, random_feeds(graph, 30, 2))
    assert report.passed
    assert report.runners[2].known_differences == 33 * graph.tensors["y"].size
