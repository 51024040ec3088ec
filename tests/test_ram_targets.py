"""How small the arenas of the official models are, and what that costs; all byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.loading import load_path
from firmware_export.export import ExportResult, export

Find = Callable[[str], Path]

#: Bytes that the fastest kernels may take, and a limit that costs 1.3 times the cycles at most.
LIMITS = {
    "vww_96_int8": (49_152, 31_000),
    "pretrainedResnet_quant": (40_960, 20_000),
    "kws_ref_model": (12_288, 8_640),
    "ad01_int8": (1_024, 768),
}
RUNNERS = ["tflm", "host-c", "cortex-m4"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def exported(model: Path, directory: Path, **options: object) -> ExportResult:
    """Every tensor is TensorFlow Lite Micro's, and nothing is written beside the arena."""
    data = model.read_bytes()
    result = export(
        load_path(model), directory, cpu="cortex-m4", optimize="speed", source_tflite=data,
        samples=1, runners=RUNNERS, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    assert result.parity.passed
    assert result.parity.reference == "tflm"
    assert {r.name for r in result.parity.runners if r.values} >= {"host-c", "cortex-m4"}
    return result


def cycles_of(result: ExportResult) -> int:
    """Those of the whole inference on the emulated core."""
    assert result.profile is not None
    return result.profile.total.cycles


@pytest.mark.parametrize("model", LIMITS)
def test_speed_with_and_without_a_limit(model: str, shared_path: Find, tmp_path: Path) -> None:
    most, limit = LIMITS[model]
    path = shared_path(f"models/mlperf_tiny/{model}.tflite")
    fastest = exported(path, tmp_path / "speed")
    small = exported(path, tmp_path / "limited", ram_limit=limit)
    cycles = cycles_of(fastest), cycles_of(small)
    print(
        f"{model}: {fastest.memory.arena_bytes:,} bytes and {cycles[0]:,} cycles; "
        f"{small.memory.arena_bytes:,} bytes and {cycles[1]:,} cycles"
    )
    assert fastest.memory.arena_bytes <= most
    assert small.memory.arena_bytes <= limit
    assert cycles[1] <= 1.3 * cycles[0]


def test_a_picture_in_rows(shared_path: Find, tmp_path: Path) -> None:
    """The arena is smaller than the picture."""
    path = shared_path("models/mlperf_tiny/vww_96_int8.tflite")
    result = exported(path, tmp_path / "rows", feed="rows", ram_limit=19_999)
    assert result.memory.arena_bytes < 20_000 < 96 * 96 * 3
    assert (tmp_path / "rows" / f"{result.name}.h").read_text().count("_feed_rows(") == 1
