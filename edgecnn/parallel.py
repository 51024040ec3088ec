"""Computes pieces of a long computation on several workers; finished ones are kept.

The pieces are the same whatever computes them, and what they give is put together in their
order: results do not depend on the number of workers nor on where they run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.checkpoint import Checkpoint, search_folder
from edgecnn.errors import UserError
from edgecnn.one_thread import stay_on_one_thread

BACKENDS = ("threading", "loky", "multiprocessing", "dask", "ray")

#: Backends whose pieces joblib gives as they are done; others are given rounds of so many pieces
#: a worker.
STREAMING = ("threading", "loky", "dask")
ROUND = 4
#: A Dask scheduler must answer within so long.
CONNECT_SECONDS = 10

#: Computes a piece by its number; the result can be written as JSON.
Work = Callable[[int], Any]
#: Is told how many pieces are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Workers:
    """How many workers, by default one a core, of which backend of joblib.

    ``dask`` uses the cluster at ``DASK_SCHEDULER_ADDRESS`` (or ``scheduler-address`` in Dask's
    settings), else starts one on this machine.
    """

    jobs: int | None = None
    backend: str = "threading"

    @property
    def count(self) -> int:
        """The number of workers on this machine."""
        return self.jobs or os.cpu_count() or 1


@dataclass(frozen=True)
class Resume:
    """Where finished pieces are kept: under a ``key`` of all that they depend on.

    In ``folder``, where they stay; else in the cache until all are there.
    """

    key: str
    folder: Path | None = None


def compute(
    work: Work,
    pieces: int,
    workers: Workers,
    resume: Resume | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Any]:
    """What ``work`` gives for each of 0 … ``pieces`` - 1, in this order.

    ``work`` can be pickled, unless the backend is ``threading``. With ``resume`` the pieces that
    an earlier call finished are not computed again. Raises `UserError` for a backend that is
    unknown or not there, and what ``work`` raises.
    """
    if workers.backend not in BACKENDS:
        raise UserError(f"--backend is '{workers.backend}'; it can be {', '.join(BACKENDS)}")
    kept = None if resume is None else Checkpoint(search_folder(resume.key, resume.folder))
    found = {} if kept is None else {i: p for i, p in kept.load().items() if 0 <= i < pieces}
    todo = [index for index in range(pieces) if index not in found]
    progress(len(found), pieces)
    try:
        for index, piece in zip(todo, _each(work, todo, workers), strict=True):
            found[index] = piece
            if kept is not None:
                kept.add(index, piece)
            progress(len(found), pieces)
    except BaseException:
        if kept is not None:
            kept.write()
        raise
    if kept is not None and resume is not None:
        kept.remove() if resume.folder is None else kept.write()
    return [found[index] for index in range(pieces)]


def _each(work: Work, todo: Sequence[int], workers: Workers) -> Iterator[Any]:
    """The pieces as they are done, in their order."""
    is_local = workers.backend == "threading"
    if is_local and (workers.count == 1 or len(todo) <= 1):
        yield from map(work, todo)  # some networks run in less time than joblib takes to import
        return
    import joblib

    call = work if is_local else _Sent(work)
    with _backend(workers) as jobs:
        if workers.backend in STREAMING:
            parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
            yield from parallel(joblib.delayed(call)(index) for index in todo)
            return
        with joblib.Parallel(n_jobs=jobs) as parallel:
            for start in range(0, len(todo), ROUND * workers.count):
                some = todo[start : start + ROUND * workers.count]
                yield from parallel(joblib.delayed(call)(index) for index in some)


class _Sent:
    """Work of another process, which unpacks it for its first piece only."""

    def __init__(self, work: Work) -> None:
        self._data = pickle.dumps(work)
        self._key = hashlib.sha256(self._data).digest()

    def __call__(self, index: int) -> Any:
        stay_on_one_thread()
        return _unpacked(self)(index)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Sent) and self._key == other._key


@functools.lru_cache(maxsize=2)
def _unpacked(sent: _Sent) -> Work:
    work: Work = pickle.loads(sent._data)
    return work


# --- backends ---------------------------------------------------------------------------------


@contextmanager
def _backend(workers: Workers) -> Iterator[int]:
    """Make a backend joblib's own for a while; yields the number of its workers."""
    import joblib

    with contextlib.ExitStack() as stack:
        jobs = workers.count
        if workers.backend == "dask":
            jobs = stack.enter_context(_dask(workers))
        elif workers.backend == "ray":
            _register_ray()
        stack.enter_context(joblib.parallel_config(backend=workers.backend))
        yield jobs


@contextmanager
def _dask(workers: Workers) -> Iterator[int]:
    """A client of the cluster that Dask is set up for, or of a new one of this machine."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise UserError(
            "--backend dask needs Dask, which is not installed: pip install 'edgecnn[cluster]'"
        ) from None
    address = dask.config.get("scheduler-address", None)
    if address is not None:
        try:
            client = Client(address, timeout=CONNECT_SECONDS)
        except OSError as error:
            raise UserError(f"no Dask scheduler answers at {address}: {error}") from error
        with client:
            yield workers.jobs or -1
        return
    cluster = LocalCluster(
        n_workers=workers.count,
        threads_per_worker=1,
        dashboard_address=None,
        silence_logs="CRITICAL",
    )
    with cluster, Client(cluster):
        yield workers.count


def _register_ray() -> None:
    try:
        from ray.util.joblib import register_ray
    except ImportError:
        raise UserError(
            "--backend ray needs Ray, which is not installed: pip install ray"
        ) from None
    register_ray()
