"""The main job: an int8 graph in; ``.tflite``, C, a proof and a report out, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.errors import FitError, OutputError, ParityError, UserError
from edgecnn.evaluate import Accuracy, evaluate
from edgecnn.ir import Array, Graph
from edgecnn.parity import Artifact, ParityReport, Runner, draw_feeds, verify
from edgecnn.quantization.error import LayerError, layer_errors
from edgecnn.support import require_supported
from firmware_export import boards, manifest, report
from firmware_export.analysis import total_macs
from firmware_export.c_writer import CNetwork, Provenance, check_name, to_c
from firmware_export.device.profile import Profile
from firmware_export.device.profile import profile as measure
from firmware_export.device.target import Target, choose
from firmware_export.fit import Fit, board_fits
from firmware_export.memory.plan import Plan
from firmware_export.runners import HOST_RUNNERS, select
from firmware_export.runners.cortex_m import MAX_MACS, CortexMRunner
from firmware_export.runners.host_c import HostCSession
from firmware_export.tflite_writer import to_tflite

OPTIMIZE = ("speed", "balanced", "memory")
#: Random samples that every export is verified with, besides the three extreme ones.
VERIFY_SAMPLES = 10

Step = Callable[[str], None]


@dataclass(frozen=True)
class Evidence:
    """What the accuracy and the quantization error are measured on; all of it optional.

    ``feeds`` are float32 samples of the float graph's inputs in graph layout; ``x`` and ``y``
    are labelled samples, ``x`` likewise (int8 where there is no float graph).
    """

    float_graph: Graph | None = None
    feeds: Mapping[str, Array] | None = None
    x: Mapping[str, Array] | None = None
    y: Array | None = None


@dataclass(frozen=True, eq=False)
class ExportResult:
    """What an export wrote and measured."""

    name: str
    directory: Path
    files: tuple[str, ...]
    graph: Graph
    parity: ParityReport
    memory: Plan
    weight_bytes: int
    tflite_bytes: int
    accuracy: Accuracy | None
    fit: Fit | None
    profile: Profile | None
    board: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn export --json`` prints."""
        result: dict[str, Any] = {
            "name": self.name,
            "files": list(self.files),
            "verify": self.parity.to_json(),
            "arena_bytes": self.memory.arena_bytes,
            "weight_bytes": self.weight_bytes,
            "tflite_bytes": self.tflite_bytes,
        }
        if self.accuracy is not None:
            result["accuracy"] = self.accuracy.to_json()
        if self.fit is not None:
            result["board"] = self.board
            result["fit"] = self.fit.to_json()
        if self.profile is not None:
            result["profile"] = self.profile.to_json()
        return result


@dataclass(frozen=True, eq=False)
class _Written:
    """A network in the staging folder."""

    network: CNetwork
    tflite: bytes
    artifact: Artifact


def export(
    graph: Graph,
    directory: str | Path,
    *,
    name: str = "",
    board: str | None = None,
    cpu: str | None = None,
    optimize: str = "balanced",
    float_io: bool = False,
    evidence: Evidence | None = None,
    source_tflite: bytes | None = None,
    runners: str | Sequence[str] | None = None,
    samples: int = VERIFY_SAMPLES,
    seed: int = 0,
    command: str = "edgecnn.export",
    step: Step = lambda text: None,
) -> ExportResult:
    """Write an int8 graph into a folder, verify it, and report.

    ``directory`` is made if need be; files of an earlier export there are replaced, anything
    else is left alone. ``name`` is the C name of the network (the graph's own by default);
    ``board`` is a name of ``edgecnn boards`` or a TOML file. With ``float_io`` the ``.tflite``
    takes and gives float32 and the C has functions for that beside the int8 ones; outputs that
    are indices stay int32. ``source_tflite`` is the int8 file
    that the graph was read from: the oracle then runs that, so that the proof spans both ends.
    ``step`` is told what begins.

    Raises `UserError` for a wrong option, `OutputError` where the folder cannot be written,
    `ParityError` where a byte differs; then nothing is left behind. Whether the network fits the
    board is in the result.
    """
    if not graph.is_quantized:
        raise UserError("the network is float; quantize it with calibration data first")
    require_supported(graph)
    chosen_name = check_name(name or graph.name)
    graph = graph.replace(name=chosen_name)
    target = _target(board, cpu, optimize)
    device = target.board
    tflite = to_tflite(graph, f"edgecnn {edgecnn.__version__}", float_io=float_io)
    sha256 = graph.source_sha256 or hashlib.sha256(tflite).hexdigest()
    provenance = Provenance(edgecnn.__version__, command, sha256)
    with _staging(Path(directory)) as folder:
        step("writing C and .tflite")
        network = to_c(graph, chosen_name, provenance, float_io=float_io)
        _write(folder, {**network.files, f"{chosen_name}.tflite": tflite})
        artifact = Artifact(graph, tflite, chosen_name, folder, float_io=float_io)
        written = _Written(network, tflite, artifact)
        known = boards.all_boards()
        looked_at = known if device is None else {**known, device.name: device}
        fits = board_fits(folder, chosen_name, network, looked_at.values())
        fit = None if device is None else fits[device.name]
        if fit is not None and not fit.fits:
            target = replace(target, board=None)  # so that there is something to run
        step("verifying every tensor on every runner")
        chosen = _runners(runners, target)
        parity = _verify(written, source_tflite, chosen, samples, seed)
        step(f"counting cycles on an emulated {target.core.title}")
        profile = _profile(written, target)
        step("measuring accuracy and quantization error")
        proof = evidence or Evidence()
        accuracy = _accuracy(written, proof)
        errors = _errors(graph, proof)
        step("drawing the report")
        page = report.render(
            report.ReportInput(
                name=chosen_name,
                command=command,
                version=edgecnn.__version__,
                source_sha256=sha256,
                graph=graph,
                plan=network.plan,
                weight_bytes=network.weight_bytes,
                file_sizes={p.name: p.stat().st_size for p in sorted(folder.iterdir())},
                parity=parity,
                accuracy=accuracy,
                layer_errors=errors,
                fits=fits,
                board=None if device is None else device.name,
                profile=profile,
                float_io=float_io,
            )
        )
        _write(folder, {"report.html": page})
        facts = manifest.describe(graph, chosen_name, network, provenance, folder)
        facts |= {"optimize": optimize, "cpu": cpu, "board": board and Path(board).stem}
        facts |= {"float_io": float_io}
        _write(folder, {manifest.FILE: json.dumps(facts, indent=2) + "\n"})
        files = tuple(sorted(p.name for p in folder.iterdir()))
    return ExportResult(
        chosen_name,
        Path(directory),
        files,
        graph,
        parity,
        network.plan,
        network.weight_bytes,
        len(tflite),
        accuracy,
        fit,
        profile,
        None if device is None else device.name,
    )


def _target(board: str | None, cpu: str | None, optimize: str) -> Target:
    """What was asked for; `UserError` for an option that is none of its choices."""
    if optimize not in OPTIMIZE:
        raise UserError(f"--optimize is '{optimize}'; it can be {', '.join(OPTIMIZE)}")
    if board is not None and cpu is not None:
        raise UserError("--board and --cpu exclude each other: the board says which core it has")
    return choose(cpu, board)


def _runners(names: str | Sequence[str] | None, target: Target) -> list[Runner]:
    """The runners that were asked for, or those of this machine and the target's core."""
    if names is not None:
        return select(names)
    return [*select(HOST_RUNNERS), CortexMRunner(target.core, memory=target.memory)]


def _profile(written: _Written, target: Target) -> Profile | None:
    """Cycles by layer; None where no compiler is there, or an inference would take minutes."""
    artifact = written.artifact
    too_long = total_macs(artifact.graph) > MAX_MACS  # counting takes its time
    if too_long or CortexMRunner(target.core).unavailable(artifact) is not None:
        return None
    try:
        return measure(artifact, target, weight_bytes=written.network.weight_bytes)
    except FitError:  # more weights than any core has flash for
        return None


def _verify(
    written: _Written,
    source: bytes | None,
    runners: Sequence[Runner],
    samples: int,
    seed: int,
) -> ParityReport:
    artifact = written.artifact
    reference = None if source is None else replace(artifact, tflite=source)
    feeds = draw_feeds(artifact, samples, seed)
    parity = verify(artifact, runners, feeds, reference=reference)
    if not parity.passed:
        raise ParityError(parity.summary(), parity.to_json())
    return parity


def _accuracy(written: _Written, proof: Evidence) -> Accuracy | None:
    if proof.x is None or proof.y is None:
        return None
    artifact = written.artifact
    assert artifact.c_directory is not None
    session = HostCSession(artifact, trace=False)
    return evaluate(
        artifact.graph, session.run_on_all_cores, proof.x, proof.y, float_graph=proof.float_graph
    )


def _errors(graph: Graph, proof: Evidence) -> tuple[LayerError, ...] | None:
    if proof.float_graph is None or proof.feeds is None:
        return None
    few = {name: array[:100] for name, array in proof.feeds.items()}
    return layer_errors(proof.float_graph, graph, few)


# --- files, whole or not at all ---------------------------------------------------------------


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)


@contextlib.contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A folder whose files move to the target once all is done, or go without a trace.

    It lies in the target where that exists, which may be a file system of its own, else beside.
    """
    made: list[Path] = []
    try:
        made = _make_parents(directory)
        parent = directory if directory.is_dir() else directory.parent
        staging = Path(tempfile.mkdtemp(prefix=".edgecnn-", dir=parent))
    except OSError as error:
        _remove_empty(made)
        raise OutputError(f"output folder {directory} cannot be made: {error.strerror}") from None
    try:
        yield staging
        try:
            _publish(staging, directory)
        except OSError as error:
            raise OutputError(
                f"output folder {directory} cannot be written: {error.strerror}"
            ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def _make_parents(directory: Path) -> list[Path]:
    """Make the folders above one; return those that were not there, the deepest first."""
    above = (directory, *directory.parents)
    for part in above:
        if part.exists() and not part.is_dir():
            raise OutputError(f"output folder {directory} cannot be made: {part} is a file")
    missing = [part for part in above[1:] if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the deepest first, as far as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _publish(staging: Path, directory: Path) -> None:
    """Move the new files over; drop those of an earlier export that are no more."""
    if not directory.exists():
        staging.chmod(0o755)
        staging.rename(directory)
        return
    new = {path.name for path in staging.iterdir()}
    for name in sorted(new):
        if (directory / name).is_dir():
            raise OutputError(f"output folder {directory} has a folder called {name}")
    stale = manifest.files_of(directory) - new
    for name in sorted(new):
        os.replace(staging / name, directory / name)
    for name in stale:
        (directory / name).unlink(missing_ok=True)
