"""Compares runners tensor by tensor, with zero tolerance, and names the first that differs.

A `Runner` can compute an exported network; a `Session` is one that has loaded it. Runners
are found in ``firmware_export/runners``; this module only knows the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from edgecnn.errors import FitError, InvariantError, ModelFormatError, UserError
from edgecnn.fixedpoint import code_limits
from edgecnn.float_io import (
    dequantize_outputs,
    float_outputs,
    quantize_feeds,
    random_float_feeds,
)
from edgecnn.ir import Array, Graph
from edgecnn.operators import Dialect, operator
from edgecnn.simulator import chunks, lower_all, run_int

#: The runner that parity is measured against, and what stands in where it is not installed.
ORACLE = "tflm"
FALLBACK = "numpy"


@dataclass(frozen=True, eq=False)
class Artifact:
    """An exported network as runners see it.

    ``tflite`` is the file to run; ``c_directory`` holds the generated C of ``name``, where
    there is some, and ``c_tensors`` the tensors in the order in which it numbers them (as
    ``graph.activations()`` by default). With ``float_io`` both have float ends around the int8
    graph (`edgecnn.float_io`): sessions take float32, and show the float outputs too. The C that
    ``is_fed`` takes its input in rows instead of from the arena.
    """

    graph: Graph
    tflite: bytes
    name: str = ""
    c_directory: Path | None = None
    c_tensors: tuple[str, ...] = ()
    float_io: bool = False
    is_fed: bool = False


class Session(Protocol):
    """A network that a runner has loaded."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples: ``feeds[input]`` is (samples, *shape), int8, float32 at float ends.

        Returns the tensors that the runner can show, outputs always among them, as arrays of
        shape (samples, *shape).
        """
        ...


@runtime_checkable
class Limited(Protocol):
    """A session that would take too long for many samples."""

    #: The number of samples that it is given at most.
    max_samples: int


class Runner(Protocol):
    """Something that can compute an exported network."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def dialect(self) -> Dialect:
        """Whose integers it computes."""
        ...

    def unavailable(self, artifact: Artifact) -> str | None:
        """Say why this runner cannot run here, or None."""
        ...

    def open(self, artifact: Artifact) -> Session:
        """Load a network."""
        ...


@dataclass(frozen=True)
class Mismatch:
    """One differing value."""

    tensor: str
    index: tuple[int, ...]
    expected: int | float
    got: int | float


@dataclass
class RunnerResult:
    """How one runner compared.

    ``mismatches`` counts values that differ from what the runner's dialect predicts;
    ``known_differences`` counts those that differ from the oracle and that the dialect predicts.
    Floats are compared as bits, and differ by units in the last place.
    """

    name: str
    available: bool
    reason: str = ""
    rejected: bool = False
    samples: int = 0
    tensors: int = 0
    values: int = 0
    mismatches: int = 0
    max_abs_diff: int = 0
    first_mismatch: Mismatch | None = None
    known_differences: int = 0

    def compare(
        self,
        order: Sequence[str],
        expected: Mapping[str, Array],
        got: Mapping[str, Array],
        first_sample: int,
        truth: Mapping[str, Array] | None = None,
    ) -> None:
        """Count the differing values of a chunk of samples, tensors in execution order.

        ``truth`` is what the oracle computed, where something else is expected of this runner.
        """
        shared = [name for name in order if name in expected and name in got]
        self.tensors = len(shared)
        self.samples += len(got[shared[0]])
        if truth is not None:
            self.known_differences += sum(
                int(np.count_nonzero((expected[t] != truth[t]) & (got[t] == expected[t])))
                for t in shared
                if t in truth
            )
        for name in shared:
            difference = _bits(got[name]) - _bits(expected[name])
            self.values += difference.size
            wrong = np.argwhere(difference)
            if not len(wrong):
                continue
            self.mismatches += len(wrong)
            self.max_abs_diff = max(self.max_abs_diff, int(np.abs(difference).max()))
            if self.first_mismatch is None:
                at = tuple(int(i) for i in wrong[0])
                self.first_mismatch = Mismatch(
                    name,
                    (at[0] + first_sample, *at[1:]),
                    expected[name][at].item(),
                    got[name][at].item(),
                )

    def to_json(self) -> dict[str, Any]:
        """The part of the JSON report that is about this runner."""
        first = self.first_mismatch
        result: dict[str, Any] = {
            "available": self.available,
            "samples": self.samples,
            "tensors": self.tensors,
            "values": self.values,
            "mismatches": self.mismatches,
            "max_abs_diff": self.max_abs_diff,
            "first_mismatch": None
            if first is None
            else {
                "tensor": first.tensor,
                "index": list(first.index),
                "expected": first.expected,
                "got": first.got,
            },
            "known_differences": self.known_differences,
        }
        return result if not self.reason else {**result, "reason": self.reason}


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a verification.

    ``left_out`` of the samples lead the stock runtimes to results that C leaves undefined; they
    were not compared.
    """

    reference: str
    samples: int
    runners: tuple[RunnerResult, ...]
    left_out: int = 0

    @property
    def passed(self) -> bool:
        """Whether no runner differed or rejected the model, and at least one was compared."""
        present = [r for r in self.runners if r.available]
        compared = any(r.values for r in present)
        return compared and not any(r.mismatches or r.rejected for r in present)

    def cut_short(self, runner: RunnerResult) -> str:
        """That a runner computed only the first of the samples, "" where it computed all."""
        few = 0 < runner.samples < self.samples
        return f"only the first {runner.samples} of {self.samples} samples" if few else ""

    def summary(self) -> str:
        """One line: that all bytes are equal, or where which runner first differs."""
        for r in self.runners:
            if r.rejected:
                return r.reason
            first = r.first_mismatch
            if first is not None:
                return (
                    f"{r.name} differs from {self.reference} in {r.mismatches} of {r.values} "
                    f"values, first in tensor '{first.tensor}' at {list(first.index)}: "
                    f"{first.got} instead of {first.expected}"
                )
        if self.left_out and not self.samples:
            return "the stock runtimes have no defined result for any sample: give others"
        names = ", ".join(r.name for r in self.runners if r.available)
        return f"every byte is equal on {names}" if self.passed else "no runner was compared"

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn verify --json`` prints."""
        return {
            "passed": self.passed,
            "reference": self.reference,
            "samples": self.samples,
            "left_out": self.left_out,
            "runners": {runner.name: runner.to_json() for runner in self.runners},
        }


def _bits(values: Array) -> Array:
    """Integers that are equal where the bytes are: floats as their bits."""
    integers = values.view(np.int32) if values.dtype == np.float32 else values
    return integers.astype(np.int64)


def random_feeds(
    graph: Graph, samples: int, seed: int, *, extremes: bool = True
) -> dict[str, Array]:
    """Uniform random inputs of their type, after inputs all at its ends, and all zero point.

    Arrays have shape (samples, *shape); with ``extremes`` there are three samples more.
    """
    rng = np.random.default_rng(seed)
    feeds = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        low, high = code_limits(tensor.dtype)
        kind: Any = np.dtype(tensor.dtype)
        drawn = rng.integers(low, high + 1, (samples, *tensor.shape), dtype=kind)
        if extremes:
            levels = (low, high, tensor.zero_point)
            drawn = np.concatenate(
                [*(np.full((1, *tensor.shape), v, drawn.dtype) for v in levels), drawn]
            )
        feeds[name] = drawn
    return feeds


def draw_feeds(artifact: Artifact, samples: int, seed: int) -> dict[str, Array]:
    """Random inputs to verify an artifact with: int8, or float32 where it has float ends."""
    draw = random_float_feeds if artifact.float_io else random_feeds
    return draw(artifact.graph, samples, seed)


def _predictions(graph: Graph, dialects: set[Dialect]) -> dict[Dialect, tuple[Any, ...]]:
    return {
        dialect: lower_all(graph, dialect) for dialect in dialects if dialect is not Dialect.TFLM
    }


def _defined(graph: Graph, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """The samples for which the stock runtimes have defined results."""
    params = lower_all(graph)

    def undefined(values: Mapping[str, Array]) -> list[Array]:
        masks = (
            operator(node.op).undefined(
                lowered, [values[name] for name in graph.activation_inputs(node)]
            )
            for node, lowered in zip(graph.nodes, params, strict=True)
        )
        return [mask for mask in masks if mask is not None]

    shapes = {name: graph.tensors[name].shape for name in graph.activations()}
    if not undefined({name: np.zeros((0, *shape), np.int8) for name, shape in shapes.items()}):
        return feeds
    keep = []
    for part in chunks(len(next(iter(feeds.values()))), graph):
        sample = {name: array[part] for name, array in feeds.items()}
        values = run_int(graph, quantize_feeds(graph, sample), params)
        keep.append(~np.any(undefined(values), axis=0))
    kept = np.concatenate(keep)
    return {name: array[kept] for name, array in feeds.items()}


def _incomparable(graph: Graph, dialect: Dialect) -> str | None:
    """The first reason why runtimes of a dialect compute something else, or None."""
    reasons = (operator(node.op).incomparable(node, graph, dialect) for node in graph.nodes)
    return next((reason for reason in reasons if reason is not None), None)


def verify(
    artifact: Artifact,
    runners: Sequence[Runner],
    feeds: Mapping[str, Array],
    *,
    reference: Artifact | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ParityReport:
    """Run samples on every runner and compare every tensor that both sides can show.

    The reference is the oracle among ``runners`` (on ``reference``, where the network came as a
    file that the oracle can run by itself), or the numpy runner where it is not installed.
    Tensors that only ``artifact`` has are compared with what that runner makes of it. A
    runner of another dialect is compared with what numpy computes under that dialect. Of an
    artifact with float ends ``feeds`` are float32.
    """
    results = {r.name: RunnerResult(r.name, True) for r in runners}
    by_name = {runner.name: runner for runner in runners}
    sessions = _opened(artifact, runners, results)
    judge_name = ORACLE if ORACLE in sessions else FALLBACK
    if judge_name not in sessions:
        raise UserError(f"parity needs the runner {ORACLE} or {FALLBACK} to compare with")
    judge = sessions[judge_name] if reference is None else by_name[judge_name].open(reference)
    expectation = _Expectation(artifact, {by_name[name].dialect for name in sessions})
    given = _count(feeds)
    feeds = _defined(artifact.graph, feeds)
    count = _count(feeds)
    for part in chunks(count, artifact.graph):
        sample = {name: array[part] for name, array in feeds.items()}
        truth = expectation.with_float_outputs(judge.run(sample))
        own = truth if reference is None else sessions[judge_name].run(sample)
        truth = {**own, **truth}
        predicted = expectation.predicted(sample)
        for name, session in sessions.items():
            size = min(part.stop, _limit(session, count)) - part.start
            if size <= 0:
                continue
            if name == judge_name:
                got = _first(own, size)
            else:
                got = session.run({n: array[:size] for n, array in sample.items()})
            _require_outputs(name, expectation.outputs, got)
            expected = predicted.get(by_name[name].dialect, truth)
            results[name].compare(
                expectation.order, _first(expected, size), got, part.start,
                None if expected is truth else _first(truth, size),
            )  # fmt: skip
        progress(part.stop, count)
    compared = tuple(results[r.name] for r in runners)
    return ParityReport(judge_name, count, compared, given - count)


def _opened(
    artifact: Artifact, runners: Sequence[Runner], results: dict[str, RunnerResult]
) -> dict[str, Session]:
    """Sessions of the runners that can run; why others cannot goes into ``results``."""
    sessions: dict[str, Session] = {}
    for runner in runners:
        reason = runner.unavailable(artifact) or _incomparable(artifact.graph, runner.dialect)
        if reason is None:
            try:
                sessions[runner.name] = runner.open(artifact)
            except ModelFormatError as error:  # an interpreter that rejects the model
                results[runner.name] = RunnerResult(runner.name, True, str(error), rejected=True)
            except FitError as error:
                results[runner.name] = RunnerResult(runner.name, False, str(error))
        else:
            results[runner.name] = RunnerResult(runner.name, False, reason)
    return sessions


def _count(feeds: Mapping[str, Array]) -> int:
    return len(next(iter(feeds.values())))


def _limit(session: Session, count: int) -> int:
    """How many of the samples a session runs."""
    return min(count, session.max_samples) if isinstance(session, Limited) else count


def _first(values: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in values.items()}


class _Expectation:
    """What runners of each dialect must show of an artifact."""

    def __init__(self, artifact: Artifact, dialects: set[Dialect]) -> None:
        self._graph = graph = artifact.graph
        self._ends = float_outputs(graph) if artifact.float_io else {}
        self._params = _predictions(graph, dialects)
        self.order = [*graph.activations(), *self._ends.values()]
        self.outputs = [*graph.outputs, *self._ends.values()]

    def predicted(self, sample: Mapping[str, Array]) -> dict[Dialect, dict[str, Array]]:
        """All tensors of a sample under the dialects that are not TFLM's."""
        int8 = quantize_feeds(self._graph, sample) if self._params else {}
        return {
            dialect: self.with_float_outputs(run_int(self._graph, int8, params))
            for dialect, params in self._params.items()
        }

    def with_float_outputs(self, values: dict[str, Array]) -> dict[str, Array]:
        """Values with the float outputs, which a reference without float ends does not show."""
        if all(outside in values for outside in self._ends.values()):
            return values
        return dequantize_outputs(self._graph, values) | values


def _require_outputs(runner: str, names: Sequence[str], got: Mapping[str, Array]) -> None:
    missing = [name for name in names if name not in got]
    if missing:
        raise InvariantError(f"runner {runner} shows no output '{missing[0]}'")
