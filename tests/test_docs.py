"""The documentation is true: docstring examples, README's commands, its table of operators."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from firmware_export import support_table
from tests.command_line import small_pt2, small_tflite, write, write_images
from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"


# --- docstrings -------------------------------------------------------------------------------


def documented_modules() -> list[str]:
    """Every module of both packages that shows an example."""
    files = sorted(
        p for d in ("edgecnn", "firmware_export") for p in (REPOSITORY / d).rglob("*.py")
    )
    return [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for path in files
        if ">>> " in path.read_text()
    ]


def test_the_package_itself_shows_an_example() -> None:
    assert "edgecnn" in documented_modules()


@pytest.mark.parametrize("module", documented_modules())
def test_docstring_examples(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


# --- README -----------------------------------------------------------------------------------

FENCE = re.compile(
    r"^(?P<exempt><!-- not run: [^\n]+ -->\n\n?)?```(?P<language>console|bash|sh|python)\n"
    r"(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """Code that README tells its reader to run: a shell or a Python script."""

    line: int
    language: str
    script: str


def console_commands(text: str) -> str:
    """What is typed in a console block: lines after ``$``, with those that they go on in."""
    commands, goes_on = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or goes_on:
            commands.append(line.removeprefix("$ ") if not goes_on else line.removeprefix("> "))
            goes_on = line.endswith("\\")
    return "\n".join(commands)


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks that are run: Python, and shell that begins with ``edgecnn``."""
    for found in FENCE.finditer(markdown):
        if found["exempt"]:
            continue
        language, text = found["language"], found["text"]
        script = console_commands(text) if "$ " in text and language != "python" else text
        words = [line for line in script.splitlines() if not line.startswith("#")]
        if language == "python" or (words and words[0].startswith("edgecnn")):
            line = markdown.count("\n", 0, found.start("language")) + 1
            yield Block(line, "python" if language == "python" else "shell", script)


def test_blocks_are_found() -> None:
    markdown = (
        "```console\n$ edgecnn boards \\\n>   --json\nframe\n$ edgecnn ops\n```\n"
        "<!-- not run: trains for hours -->\n```bash\nedgecnn demo\n```\n"
        "```bash\nmake test\n```\n```bash\n# why\nedgecnn ops\n```\n"
        "```python\nimport edgecnn\n```\n"
    )
    assert list(blocks(markdown)) == [
        Block(1, "shell", "edgecnn boards \\\n  --json\nedgecnn ops"),
        Block(14, "shell", "# why\nedgecnn ops\n"),
        Block(18, "python", "import edgecnn\n"),
    ]


def test_readme_begins_well(tmp_path: Path) -> None:
    """The commands and the Python that a reader tries first."""
    run_blocks(README.read_text().partition("\n### From TFLite")[0], tmp_path)


@pytest.mark.slow
def test_readme_runs(tmp_path: Path) -> None:
    """From the first block to the last."""
    run_blocks(README.read_text(), tmp_path)


def run_blocks(markdown: str, tmp_path: Path) -> None:
    """In order, in one folder, as a reader would: what one block makes, the next may use.

    The folder holds what README calls the reader's own: two models and data for them.
    """
    write(tmp_path / "model.tflite", small_tflite())
    write(tmp_path / "model.pt2", small_pt2())
    with np.load(write_images(tmp_path / "labelled.npz", labels=True)) as data:
        x, y = data["x"].transpose(0, 2, 3, 1), data["y"]
    np.save(tmp_path / "inputs.npy", x)
    np.savez(tmp_path / "labelled.npz", x=x, y=y)
    np.save(tmp_path / "inputs-nchw.npy", x.transpose(0, 3, 1, 2))
    np.savez(tmp_path / "labelled-nchw.npz", x=x.transpose(0, 3, 1, 2), y=y)
    found = list(blocks(markdown))
    assert any(block.language == "shell" for block in found)
    assert any(block.language == "python" for block in found)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for block in found:
        command = [sys.executable, "-c"]
        if block.language == "shell":
            command = ["bash", "-euo", "pipefail", "-c"]
        result = subprocess.run(
            [*command, block.script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"README.md, line {block.line}:\n{block.script}\n{result.stdout}\n{result.stderr}"
        assert result.returncode == 0, said


def test_readme_has_the_table_of_operators() -> None:
    """As ``support_table.markdown()`` gives it: it is not written by hand."""
    found = re.search(r"<!-- operators -->\n+(.*?)\n*<!-- /operators -->", README.read_text(), re.S)
    assert found is not None
    table = support_table.markdown()
    assert found[1].strip() == table.strip(), f"README's table should be:\n{table}"


def test_the_table_has_a_row_for_every_operator_and_importer() -> None:
    from edgecnn.frontends.spelling import importers
    from edgecnn.operators import operators

    rows = support_table.rows()
    assert {row[0] for row in rows} >= operators().keys()
    named = ", ".join(cell for row in rows for cell in row[1:4]).split(", ")
    tables = importers()
    assert {*tables.onnx, *tables.tflite} <= {*named}
    lines = support_table.markdown().splitlines()
    assert len(lines) == 2 + len(rows)
    assert len({line.count("|") for line in lines}) == 1
