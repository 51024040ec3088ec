"""What every test may use: the folder of models and vectors that lies beside the repository."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_root() -> Path:
    """The folder of shared models and data: ``EDGECNN_SHARED``, else beside the repository."""
    return Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")


@pytest.fixture
def shared_path() -> Callable[[str], Path]:
    """Find a file or folder of the shared data.

    Where it is absent the test is skipped, or fails under ``EDGECNN_REQUIRE_SHARED=1``.
    """

    def find(relative: str) -> Path:
        path = shared_root() / relative
        if not path.exists():
            reason = f"{path} is absent; set EDGECNN_SHARED to the folder that holds {relative}"
            if os.environ.get("EDGECNN_REQUIRE_SHARED") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find
