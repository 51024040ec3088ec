"""Hashes of graphs and of what is in them, the same in every process."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def fingerprint(*values: Any) -> str:
    """A hash of graphs, tensors, arrays, paths, numbers and texts, and of what holds them.

    >>> fingerprint(1, "a") == fingerprint(1, "a") != fingerprint("1", "a")
    True
    """
    found = hashlib.sha256()
    for value in values:
        _add(found, value)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    found.update(f"{type(value).__name__} ".encode())
    if isinstance(value, np.ndarray):
        found.update(repr((value.shape, value.dtype.str)).encode())
        found.update(np.ascontiguousarray(value).data)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            _add(found, getattr(value, part.name))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _add(found, key)
            _add(found, part)
    elif isinstance(value, list | tuple):
        found.update(f"{len(value)} ".encode())
        for part in value:
            _add(found, part)
    else:
        found.update(f"{value!r};".encode())
