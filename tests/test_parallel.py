"""Pieces on every backend: the same results, and what was finished is not computed again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import parallel
from edgecnn.checkpoint import Checkpoint
from edgecnn.errors import DataError, UserError
from edgecnn.parallel import Resume, Workers, compute
from tests.command_line import Outcome, small_pt2, succeeds, write
from tests.conftest import REPOSITORY


@dataclass(frozen=True)
class Squares:
    """Notes which pieces were computed, by files in a folder."""

    folder: Path
    broken: int = -1

    def __call__(self, index: int) -> dict[str, Any]:
        if index == self.broken:
            raise DataError(f"piece {index} is broken")
        (self.folder / f"{index}-{time.monotonic_ns()}").touch()
        return {"square": index * index, "third": index / 3}

    def computed(self) -> list[int]:
        return sorted(int(path.name.partition("-")[0]) for path in self.folder.iterdir())


EXPECTED = [{"square": i * i, "third": i / 3} for i in range(7)]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Squares:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "computed").mkdir()
    return Squares(tmp_path / "computed")


def slow(workers: Workers) -> Any:
    return pytest.param(workers, marks=pytest.mark.slow)


WORKERS = [
    Workers(1), Workers(2), Workers(3), Workers(2, "loky"),
    slow(Workers(1, "loky")), slow(Workers(3, "loky")), slow(Workers(2, "multiprocessing")),
]  # fmt: skip


@pytest.mark.parametrize("workers", WORKERS, ids=str)
def test_pieces_come_in_their_order(workers: Workers, work: Squares) -> None:
    seen: list[tuple[int, int]] = []
    assert compute(work, 7, workers, progress=lambda *x: seen.append(x)) == EXPECTED
    assert work.computed() == list(range(7))
    assert seen == [(done, 7) for done in range(8)]


def test_unknown_and_missing_backends() -> None:
    with pytest.raises(UserError, match="--backend is 'spark'; it can be threading, loky"):
        compute(len, 2, Workers(2, "spark"))
    if "ray" not in sys.modules:
        with pytest.raises(UserError, match="pip install ray"):
            compute(len, 2, Workers(2, "ray"))


def test_a_scheduler_that_does_not_answer(work: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    monkeypatch.setattr(parallel, "CONNECT_SECONDS", 1)

    with (
        dask.config.set({"scheduler-address": "tcp://127.0.0.1:9"}),
        pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        compute(work, 2, Workers(2, "dask"))


@pytest.mark.parametrize("workers", [Workers(1), Workers(2), slow(Workers(2, "loky"))], ids=str)
def test_what_was_finished_is_not_computed_again(workers: Workers, work: Squares) -> None:
    resume = Resume("key", work.folder.parent / "kept")
    with pytest.raises(DataError, match="piece 4 is broken"):
        compute(Squares(work.folder, broken=4), 7, workers, resume)
    kept = Checkpoint(work.folder.parent / "kept" / "key").load()
    assert kept == {i: EXPECTED[i] for i in kept}
    if workers.count == 1:
        assert [*kept] == [0, 1, 2, 3]
    for path in work.folder.iterdir():
        path.unlink()
    rest = sorted({*range(7)} - {*kept})
    for _ in range(2):  # the second time nothing
        assert compute(work, 7, workers, resume) == EXPECTED
        assert work.computed() == rest


def test_pieces_in_the_cache_go_when_all_are_there(work: Squares) -> None:
    with pytest.raises(DataError):
        compute(Squares(work.folder, broken=5), 7, Workers(1), Resume("key"))
    searches = work.folder.parent / "cache" / "searches"
    assert len(list(searches.glob("key/*.json"))) == 1
    assert compute(work, 7, Workers(1), Resume("key")) == EXPECTED
    assert not list(searches.iterdir())


@pytest.mark.parametrize("damage", ["cut", "changed", "list", "empty"])
def test_files_that_are_not_whole_are_not_trusted(damage: str, tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "kept")
    kept.add(0, {"n": 11})
    kept.write()
    kept.add(1, {"n": 12})
    kept.write()
    first = min((tmp_path / "kept").iterdir(), key=lambda path: "12" in path.read_text())
    text = first.read_text()
    changes = {"cut": text[:-9], "changed": text.replace("11", "13"), "list": "[1]", "empty": ""}
    first.write_text(changes[damage])
    assert kept.load() == {1: {"n": 12}}


# --- commands ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """A float network with 700 labelled samples: three pieces."""
    folder = tmp_path_factory.mktemp("evaluation")
    rng = np.random.default_rng(3)
    x = rng.random((700, 1, 8, 8), dtype=np.float32)
    np.savez(folder / "data.npz", x=x, y=rng.integers(0, 10, 700))
    np.save(folder / "x.npy", x[:50])
    model = write(folder / "net.pt2", small_pt2())
    data, calibration = folder / "data.npz", folder / "x.npy"
    return ["evaluate", model, "--data", data, "--calibration", calibration, "--json"]


@pytest.fixture(scope="module")
def alone(evaluation: list[object]) -> Outcome:
    return succeeds(*evaluation, "--jobs", 1)


@pytest.mark.parametrize(
    "options",
    [("--jobs", 2), ("--jobs", 3), ("--backend", "loky", "--jobs", 2)],
    ids=lambda options: " ".join(map(str, options)),
)
def test_results_are_the_same_on_every_backend(
    options: tuple[object, ...], evaluation: list[object], alone: Outcome
) -> None:
    assert succeeds(*evaluation, *options).out == alone.out


def test_a_dask_cluster_gives_the_same(evaluation: list[object], alone: Outcome) -> None:
    """A real one: two workers, each a process of its own, of this machine."""
    command = [sys.executable, "-m", "edgecnn", *map(str, evaluation)]
    result = subprocess.run(
        [*command, "--backend", "dask", "--jobs", "2"],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout == alone.out


#: Wide products, whose last digits depend on how many threads they are split over.
WIDE = """
import numpy as np
from edgecnn.evaluate import Side, Task, measure
from edgecnn.ir import INT8, Graph, Node, QuantParams, Tensor
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.parallel import Workers
from edgecnn.sources import ReadyFeeds

rng = np.random.default_rng(0)
weights = rng.normal(0, 1, (128, 640)).astype(np.float32)
ends = [("x", (1, 640)), ("y", (1, 128))]
node = Node("fully_connected", ("x", "w", ""), ("y",), FullyConnectedAttributes())
real = {name: Tensor(name, shape) for name, shape in ends}
real["w"] = Tensor("w", weights.shape, data=weights)
graph = Graph("wide", (node,), real, ("x",), ("y",))
quant = QuantParams.per_tensor(1.0, 0)
int8 = Graph("ends", (), {n: Tensor(n, s, INT8, None, quant) for n, s in ends}, ("x",), ("y",))
nothing = Side(int8, lambda feeds: {"y": np.zeros((len(feeds["x"]), 1, 128), np.int8)})
source = ReadyFeeds({"x": rng.normal(0, 1, (1500, 1, 640)).astype(np.float32)},
                    rng.normal(0, 1, (1500, 128)))
for jobs in (1, 2, 3, 2):
    found = measure(Task.regression, [nothing, Side(graph)], source, Workers(jobs))
    print(repr(found.float_scores))
"""


def test_digits_do_not_depend_on_threads() -> None:
    """Neither on ours nor on those that numpy's library would take."""
    lines = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        result = subprocess.run(
            [sys.executable, "-c", WIDE],
            cwd=REPOSITORY, capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert len(result.stdout.splitlines()) == 4
        lines.update(result.stdout.splitlines())
    assert len(lines) == 1, lines


#: Computes pieces slowly, in a process that is to be killed.
SLOW = """
import sys, time
from pathlib import Path
from edgecnn.parallel import Resume, Workers, compute

def work(index):
    time.sleep(0.15)
    with open(sys.argv[1], "a") as file:
        print(index, file=file)
    return index / 7

print(compute(work, 30, Workers(2), Resume("key", Path(sys.argv[2]))))
"""


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    log, kept = tmp_path / "log", tmp_path / "kept"
    command = [sys.executable, "-c", SLOW, str(log), str(kept)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(kept.glob("key/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    saved = Checkpoint(kept / "key").load()
    assert 0 < len(saved) < 30
    log.unlink()
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == [index / 7 for index in range(30)]
    assert sorted(map(int, log.read_text().split())) == sorted({*range(30)} - {*saved})
