"""The main job: an int8 graph in; ``.tflite``, C, a proof and a report out, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.errors import FitError, ParityError, UserError
from edgecnn.evaluate import Accuracy, evaluate
from edgecnn.ir import Array, Graph
from edgecnn.macs import total_macs
from edgecnn.parallel import Workers
from edgecnn.parity import Artifact, ParityReport, Runner, draw_feeds, verify
from edgecnn.passes.remove_channels import ChannelReport
from edgecnn.quantization.error import LayerError, layer_errors
from edgecnn.quantization.recipe import Quantized
from edgecnn.quantization.sensitivity import LayerTable, affordable_samples, measure_layers
from edgecnn.sources import ReadyFeeds
from edgecnn.support import require_supported
from firmware_export import boards, manifest, report
from firmware_export.c_writer import CNetwork, Provenance, check_name
from firmware_export.chooser import Choice
from firmware_export.device.profile import Profile
from firmware_export.device.profile import profile as measure
from firmware_export.device.target import Target
from firmware_export.fit import Fit, board_fits
from firmware_export.memory.plan import Plan
from firmware_export.preparation import Goal, prepare
from firmware_export.runners import HOST_RUNNERS, select
from firmware_export.runners.cortex_m import MAX_MACS, CortexMRunner
from firmware_export.runners.host_c import HostCSession
from firmware_export.staging import staging, write_files
from firmware_export.tflite_writer import to_tflite
from firmware_export.weight_sizes import weight_sizes

#: Random samples that every export is verified with, besides the three extreme ones.
VERIFY_SAMPLES = 10
#: Samples that layers are looked at with, and multiply-accumulates for each of them alone.
LAYER_SAMPLES = 100
LAYER_MACS = 1 << 31

Step = Callable[[str], None]


@dataclass(frozen=True)
class Evidence:
    """What the accuracy and the quantization error are measured on; all of it optional.

    ``feeds`` are float32 samples of the float graph's inputs in graph layout; ``x`` and ``y``
    are labelled samples, ``x`` likewise (int8 where there is no float graph). ``quantized`` says
    how the int8 graph was made of the float graph.
    """

    float_graph: Graph | None = None
    feeds: Mapping[str, Array] | None = None
    x: Mapping[str, Array] | None = None
    y: Array | None = None
    quantized: Quantized | None = None


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
    choice: Choice | None = None
    #: What `remove_channels` found; None where all channels were to be kept.
    channels: ChannelReport | None = None
    #: How the network was quantized; None where it came as int8.
    quantized: Quantized | None = None

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
        if self.quantized is not None:
            result["quantization"] = self.quantized.to_json()
        if self.channels is not None:
            result["channels"] = self.channels.to_json()
        if self.accuracy is not None:
            result["accuracy"] = self.accuracy.to_json()
        if self.fit is not None:
            result["board"] = self.board
            result["fit"] = self.fit.to_json()
        if self.profile is not None:
            result["profile"] = self.profile.to_json()
        if self.choice is not None:
            result["kernels"] = self.choice.to_json()
            result["bands"] = self.choice.bands_to_json()
            result["curve"] = [point.to_json() for point in self.choice.curve]
        return result


@dataclass(frozen=True, eq=False)
class _Written:
    """A network in the staging folder."""

    network: CNetwork
    tflite: bytes
    artifact: Artifact
    provenance: Provenance
    choice: Choice | None


def export(
    graph: Graph,
    directory: str | Path,
    *,
    name: str = "",
    board: str | None = None,
    cpu: str | None = None,
    optimize: str = "balanced",
    ram_limit: int | None = None,
    feed: str = "input",
    float_io: bool = False,
    remove_channels: bool = True,
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
    are indices stay int32. With ``feed="rows"`` the C takes its input row by row; ``ram_limit`` is
    the largest arena in bytes. Channels that no output depends on are removed, unless
    ``remove_channels`` is false, and layers are put in the order that takes the least memory.
    ``source_tflite`` is the int8 file that the graph was read from: the oracle then runs that, so
    that the proof spans both ends. Without one it runs the network with all of its channels, in
    the given order. ``step`` is told what begins.

    Raises `UserError` for a wrong option, `OutputError` where the folder cannot be written,
    `ParityError` where a byte differs, `FitError` where the arena cannot be as small as the limit;
    then nothing is left behind. Whether the network fits the board is in the result.
    """
    given = _named(graph, name)
    goal = Goal(board, cpu, optimize, ram_limit, feed, remove_channels)
    if goal.is_fed and float_io:
        raise UserError("--float-io and --feed rows exclude each other: rows are int8")
    with staging(Path(directory)) as folder:
        prepared = prepare(given, goal, step)
        graph, target, choice = prepared.graph, prepared.target, prepared.choice
        tflite = to_tflite(graph, f"edgecnn {edgecnn.__version__}", float_io=float_io)
        sha256 = graph.source_sha256 or hashlib.sha256(tflite).hexdigest()
        provenance = Provenance(edgecnn.__version__, command, sha256)
        step("writing C and .tflite")
        network = prepared.to_c(provenance, float_io=float_io)
        write_files(folder, {**network.files, f"{graph.name}.tflite": tflite})
        artifact = Artifact(
            graph, tflite, graph.name, folder, float_io=float_io, is_fed=prepared.is_fed
        )
        written = _Written(network, tflite, artifact, provenance, choice)
        fits = _fits(written, target)
        fit = None if target.board is None else fits[target.board.name]
        runnable = target if fit is None or fit.fits else replace(target, board=None)
        step("verifying every tensor on every runner")
        reference = _reference(artifact, given, source_tflite)
        parity = _verify(artifact, reference, _runners(runners, runnable), samples, seed)
        step(f"counting cycles on an emulated {target.core.title}")
        profile = _profile(written, runnable)
        step("measuring accuracy and quantization error")
        proof = evidence or Evidence()
        result = ExportResult(
            graph.name,
            Path(directory),
            (),
            graph,
            parity,
            network.plan,
            network.weight_bytes,
            len(tflite),
            _accuracy(written, proof),
            fit,
            profile,
            None if target.board is None else target.board.name,
            choice,
            prepared.removal.report,
            proof.quantized,
        )
        errors = prepared.removal.renamed_errors(_errors(given, proof))
        table = _layer_table(given, proof, step)
        step("drawing the report")
        write_files(folder, {"report.html": _report(written, result, fits, errors, table)})
        options = {
            "optimize": optimize,
            "ram_limit": ram_limit,
            "cpu": cpu,
            "board": board and Path(board).stem,
            "quantization": proof.quantized and proof.quantized.to_json(),
        }
        write_files(folder, {manifest.FILE: _manifest(written, options)})
        files = tuple(sorted(p.name for p in folder.iterdir()))
    return replace(result, files=files)


def _named(graph: Graph, name: str) -> Graph:
    """An int8 graph under the name that its C gets; `UserError` where there can be none."""
    if not graph.is_quantized:
        raise UserError("the network is float; quantize it with calibration data first")
    require_supported(graph)
    return graph.replace(name=check_name(name or graph.name))


def _fits(written: _Written, target: Target) -> dict[str, Fit]:
    """Whether the network fits each known board, and the one that it is for."""
    known, board = boards.all_boards(), target.board
    looked_at = known if board is None else {**known, board.name: board}
    folder = written.artifact.c_directory
    assert folder is not None
    return board_fits(
        folder,
        written.artifact.name,
        written.network,
        looked_at.values(),
        core=target.core.name,
    )


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


def _reference(artifact: Artifact, given: Graph, source: bytes | None) -> Artifact | None:
    """The network as it was given, where that is not what was written."""
    if source is None and given is artifact.graph:
        return None
    tflite = to_tflite(given, float_io=artifact.float_io) if source is None else source
    return replace(artifact, graph=given, tflite=tflite)


def _verify(
    artifact: Artifact,
    reference: Artifact | None,
    runners: Sequence[Runner],
    samples: int,
    seed: int,
) -> ParityReport:
    feeds = draw_feeds(artifact, samples, seed)
    parity = verify(artifact, runners, feeds, reference=reference)
    if not parity.passed:
        raise ParityError(parity.summary(), parity.to_json())
    return parity


def _accuracy(written: _Written, proof: Evidence) -> Accuracy | None:
    if proof.x is None or proof.y is None:
        return None
    artifact = written.artifact
    session = HostCSession(artifact, trace=False)
    return evaluate(artifact.graph, session.run, proof.x, proof.y, float_graph=proof.float_graph)


def _errors(graph: Graph, proof: Evidence) -> tuple[LayerError, ...] | None:
    if proof.float_graph is None or proof.feeds is None:
        return None
    few = {name: array[:LAYER_SAMPLES] for name, array in proof.feeds.items()}
    return layer_errors(_reference_graph(proof), graph, few)


def _reference_graph(proof: Evidence) -> Graph:
    """The float graph that the int8 graph stands for, tensor by tensor."""
    if proof.quantized is not None:
        return proof.quantized.reference
    assert proof.float_graph is not None
    return proof.float_graph


def _layer_table(graph: Graph, proof: Evidence, step: Step) -> LayerTable | None:
    """Each layer in int8 alone: on labelled samples if there are any, else on other ones."""
    labelled = proof.x is not None and proof.y is not None
    samples = proof.x if labelled else proof.feeds
    if proof.float_graph is None or samples is None:
        return None
    real = _reference_graph(proof)
    source = ReadyFeeds(samples, proof.y if labelled else None)
    count = min(LAYER_SAMPLES, affordable_samples(real, LAYER_MACS))

    def progress(done: int, total: int) -> None:
        step(f"looking at each layer alone: {100 * done // total} %")

    return measure_layers(
        real, graph, source, count, Workers(), labelled=labelled, progress=progress
    )


def _report(
    written: _Written,
    result: ExportResult,
    fits: Mapping[str, Fit],
    errors: tuple[LayerError, ...] | None,
    table: LayerTable | None,
) -> str:
    folder = written.artifact.c_directory
    assert folder is not None
    return report.render(
        report.ReportInput(
            name=result.name,
            command=written.provenance.command,
            version=written.provenance.version,
            source_sha256=written.provenance.source_sha256,
            graph=result.graph,
            plan=result.memory,
            weight_bytes=result.weight_bytes,
            file_sizes={p.name: p.stat().st_size for p in sorted(folder.iterdir())},
            parity=result.parity,
            accuracy=result.accuracy,
            layer_errors=errors,
            fits=fits,
            board=result.board,
            profile=result.profile,
            float_io=written.artifact.float_io,
            choice=written.choice,
            channels=result.channels,
            weights=weight_sizes(result.graph, written.network),
            layer_table=table,
        )
    )


def _manifest(written: _Written, options: Mapping[str, Any]) -> str:
    artifact = written.artifact
    folder = artifact.c_directory
    assert folder is not None
    facts = manifest.describe(
        artifact.graph, artifact.name, written.network, written.provenance, folder
    )
    feed = "rows" if artifact.is_fed else "input"
    facts |= {**options, "float_io": artifact.float_io, "feed": feed}
    return json.dumps(facts, indent=2) + "\n"
