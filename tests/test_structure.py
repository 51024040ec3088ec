"""The rules of the house: stems match, layers keep apart, one place rounds."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.operators import operators
from firmware_export.exporters import exporter
from tests.conftest import REPOSITORY

PACKAGES = ("edgecnn", "firmware_export")
EXPORTED = sorted(name for name, op in operators().items() if not op.is_float_only)


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (REPOSITORY / package).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def calls(path: Path) -> Iterator[str]:
    """The dotted names that a module calls, such as ``np.round``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imports(path: Path) -> Iterator[str]:
    """The modules that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_there_are_operators() -> None:
    assert {"conv2d", "fully_connected", "add", "softmax"} <= set(EXPORTED)


@pytest.mark.parametrize("op", EXPORTED)
def test_every_operator_has_its_parts(op: str) -> None:
    parts = [
        f"edgecnn/ops/{op}.py",
        f"edgecnn/frontends/ops/{op}.py",
        f"firmware_export/ops/{op}.py",
        f"tests/ops/test_{op}.py",
    ]
    if not operators()[op].is_view:
        parts.append(f"firmware_export/kernels/{exporter(op).kernel or op}.h")
    assert [part for part in parts if not (REPOSITORY / part).is_file()] == []


def test_no_exporter_without_an_operator() -> None:
    stems = {path.stem for path in (REPOSITORY / "firmware_export" / "ops").glob("[a-z]*.py")}
    assert stems == set(EXPORTED)


@pytest.mark.parametrize("op", EXPORTED)
def test_every_operator_has_a_summary(op: str) -> None:
    assert operators()[op].summary


def test_edgecnn_does_not_know_firmware_export() -> None:
    """Only the composition roots may: what a network means is apart from how it is exported."""
    roots = ("cli", "cli_evaluate", "cli_mixed", "cli_profile", "__init__")
    allowed = {f"edgecnn/{root}.py" for root in roots}
    knowing = {
        relative(path)
        for path in sources("edgecnn")
        if any(module.split(".")[0] == "firmware_export" for module in imports(path))
    }
    assert knowing <= allowed


ROUNDING = re.compile(r"(^|\.)(round|rint|around|round_|fix|floor_divide_round)$")


def test_one_place_rounds() -> None:
    """Numbers are rounded by fixedpoint.py only; report text is formatted, not rounded."""
    found = [
        f"{relative(path)}: {call}"
        for path in sources(*PACKAGES)
        if relative(path) != "edgecnn/fixedpoint.py"
        for call in calls(path)
        if ROUNDING.search(call)
    ]
    assert found == []


def test_one_place_rounds_in_c() -> None:
    """Only fixedpoint.h holds a rounding constant: no kernel adds a half before it shifts."""
    nudge = re.compile(r"\+\s*\(?\s*1\s*<<\s*\(?[^)]*-\s*1")
    kernels = REPOSITORY / "firmware_export" / "kernels"
    found = [
        p.name
        for p in kernels.glob("*.h")
        if p.name != "fixedpoint.h" and nudge.search(p.read_text())
    ]
    assert found == []


HEAVY = {
    "unicorn",
    "capstone",
    "elftools",
    "torch",
    "matplotlib",
    "tflite_micro",
    "tflite_runtime",
    "ai_edge_litert",
    "sklearn",
    "onnx",
}


def test_heavy_packages_are_imported_where_they_are_needed() -> None:
    """``import edgecnn`` and ``edgecnn --help`` must not wait for torch or an interpreter."""
    script = (
        "import sys, edgecnn, edgecnn.cli, edgecnn.frontends.tflite, firmware_export.c_writer\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) & HEAVY == set()


def test_only_the_emulated_cores_import_unicorn() -> None:
    """It is under the GPL: what is exported, and all else here, does without it."""
    users = {relative(p) for p in sources(*PACKAGES) if "unicorn" in set(imports(p))}
    assert users == {"firmware_export/device/machine.py", "firmware_export/device/counting.py"}
    assert "unicorn" in HEAVY


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks", "tests"), ids=relative)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_every_module_can_be_imported() -> None:
    for path in sources(*PACKAGES):
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        importlib.import_module(module.removesuffix(".__init__"))
