"""``edgecnn demo``: trains, quantizes, exports, verifies, and fits its board."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import EXACT_RUNNERS, succeeds


def test_demo(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    outcome = succeeds("demo", "-o", directory, "--json")
    assert outcome.err == ""
    result = outcome.json
    accuracy = result["accuracy"]
    assert accuracy["samples"] == 450
    assert accuracy["int8"]["accuracy"] >= 0.96
    assert abs(accuracy["int8"]["accuracy"] - accuracy["float"]["accuracy"]) <= 0.01
    verified = result["verify"]
    assert verified["passed"] is True
    assert set(verified["runners"]) >= {*EXACT_RUNNERS, "litert"}
    for name in (*EXACT_RUNNERS, "litert"):
        assert verified["runners"][name]["available"] is True
        assert verified["runners"][name]["mismatches"] == 0
        assert verified["runners"][name]["values"] > 100_000
    assert result["fit"]["fits"] is True
    facts = json.loads((directory / "manifest.json").read_text())
    assert facts["board"] == "frdm-k64f"
    assert sorted(result["files"]) == sorted(p.name for p in directory.iterdir())
