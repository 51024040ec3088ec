"""Keeps numpy's matrix products on one thread: how a sum is split changes its last digits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_counting = threading.Lock()
_inside = 0
_limits: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While inside, products have the same digits on every number of cores.

    Threads may be inside at once; the last one to leave puts back what was before.
    """
    from threadpoolctl import threadpool_limits

    global _inside, _limits
    with _counting:
        if _inside == 0:
            _limits = threadpool_limits(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _counting:
            _inside -= 1
            if _inside == 0:
                _limits.restore_original_limits()
