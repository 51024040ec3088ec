"""Keeps numpy's matrix products on one thread: how a sum is split changes its last digits."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While inside, products have the same digits on every number of cores, in all threads.

    To be entered before threads are started: those that a limit is set from must not change.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


@functools.cache
def stay_on_one_thread() -> None:
    """The same for the rest of a process: for those that are started to work for another one."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")
