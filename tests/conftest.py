"""What every test may use: models and vectors beside the repository, and tools of the system."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from firmware_export.device.build import unavailable

REPOSITORY = Path(__file__).resolve().parents[1]
#: Trials of kernels are kept here, not in the user's folder.
os.environ.setdefault("EDGECNN_CACHE", str(REPOSITORY / ".pytest_cache" / "kernels"))


def shared_root() -> Path:
    """The folder of shared models and data: ``EDGECNN_SHARED``, else beside the repository."""
    return Path(os.environ.get("EDGECNN_SHARED") or REPOSITORY.parent / "shared")


def skip_or_fail(reason: str, requirement: str) -> NoReturn:
    """Skip a test that lacks something, or fail it where the environment variable is 1."""
    if os.environ.get(requirement) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Random ONNX weights do not depend on the tests that ran before."""
    module = sys.modules.get("tests.onnx_models")
    if module is not None:
        module.draw_anew()


@pytest.fixture
def shared_path() -> Callable[[str], Path]:
    """Find a file or folder of the shared data.

    Where it is absent the test is skipped, or fails under ``EDGECNN_REQUIRE_SHARED=1``.
    """

    def find(relative: str) -> Path:
        path = shared_root() / relative
        if not path.exists():
            reason = f"{path} is absent; set EDGECNN_SHARED to the folder that holds {relative}"
            skip_or_fail(reason, "EDGECNN_REQUIRE_SHARED")
        return path

    return find


@pytest.fixture
def require_tool() -> Callable[[str], None]:
    """Ask for a program of the system.

    Where it is absent the test is skipped, or fails under ``EDGECNN_REQUIRE_TOOLS=1``.
    """

    def require(program: str) -> None:
        if shutil.which(program) is None:
            skip_or_fail(f"{program} is not installed", "EDGECNN_REQUIRE_TOOLS")

    return require


@pytest.fixture
def arm_compiler(request: pytest.FixtureRequest) -> str:
    """The compiler for Cortex-M that a test is parametrized with (indirectly).

    Where it is absent the test is skipped, or fails under ``EDGECNN_REQUIRE_TOOLS=1``.
    """
    reason = unavailable(request.param)
    if reason is not None:
        skip_or_fail(reason, "EDGECNN_REQUIRE_TOOLS")
    return str(request.param)
