"""Real code of networks in bands of rows: every tensor has the bytes of the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.ir import Graph
from edgecnn.loading import load_path
from edgecnn.parity import Artifact
from edgecnn.passes.remove_channels import remove_channels
from firmware_export.device.build import build
from firmware_export.device.cores import CORES, Core
from firmware_export.device.memory import ROOMY
from firmware_export.device.network import EmulatedNetwork
from firmware_export.device.profile import LayerProfile, count_layers
from firmware_export.device.target import Target
from firmware_export.runners.host_c import HostCSession
from firmware_export.runners.qemu import RUNNERS
from firmware_export.streaming.stream import Stream, make, windows
from tests.network_builder import OPERATORS, Layer, random_network
from tests.ops.case_table import PROVENANCE, draw
from tests.streaming.networks import (
    M4,
    band_layers,
    check_session,
    check_tensors,
    expected,
    random_stream,
    residual_network,
    stream_of,
    write,
)
from tests.test_random_networks import random_network as small_network

M0PLUS = CORES["cortex-m0plus"]
each_core = pytest.mark.parametrize("core", [M4, M0PLUS], ids=lambda core: core.name)


def check_host(graph: Graph, stream: Stream, directory: Path) -> None:
    """On the host; the bytes around the arena are still what they were."""
    artifact, _ = write(graph, stream, directory)
    check_session(graph, HostCSession(artifact, trace=True))


def check_emulated(graph: Graph, stream: Stream, directory: Path, core: Core) -> None:
    """On a core, with every access held to the memory that the program owns."""
    artifact, _ = write(graph, stream, directory)
    network = EmulatedNetwork(artifact, build(artifact, core, compiler="clang"), core, ROOMY)
    network.paint_guards()
    call = network.counter().call
    feeds, values = expected(graph, 1, 0)
    for i in range(len(feeds[graph.inputs[0]])):
        sample = {name: x[i] for name, x in feeds.items()}
        want = {name: x[i] for name, x in values.items()}
        check_tensors(graph, network.trace(sample, call), want)
    assert network.guards_hold()


# --- random networks ------------------------------------------------------------------------------

#: Kernels for the bands.
CORE_OF = (None, M4, M0PLUS)


def drawn(seed: int, core: Core | None) -> tuple[Graph, Stream]:
    """The first random stream from a seed on, which leaves room for a thousand."""
    for at in range(1000 * seed, 1000 * (seed + 1)):
        found = random_stream(at, core=core)
        if found is not None:
            return found
    raise AssertionError("no network has a stream")


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_on_the_host(seed: int, tmp_path: Path) -> None:
    check_host(*drawn(seed, CORE_OF[seed % 3]), tmp_path)


@pytest.mark.parametrize("seed", range(12, 13))
@each_core
def test_random_networks_on_cores(seed: int, core: Core, tmp_path: Path) -> None:
    check_emulated(*drawn(seed, core), tmp_path, core)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 300))
def test_more_random_networks_on_the_host(seed: int, tmp_path: Path) -> None:
    check_host(*drawn(seed, CORE_OF[seed % 3]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300, 330))
@each_core
def test_more_random_networks_on_cores(seed: int, core: Core, tmp_path: Path) -> None:
    check_emulated(*drawn(seed, core), tmp_path, core)


def test_random_streams_are_of_all_kinds() -> None:
    found = [random_stream(seed, core=M4) for seed in range(200)]
    streams = [stream for pair in found if pair for stream in pair[1:]]
    assert len(streams) > 120
    assert sum(stream.is_fed for stream in streams) > 30
    assert sum(any(len(m) > 1 for m in s.members) for s in streams) > 8
    assert sum(any(x.rows > 1 for x in s.stages) for s in streams) > 60
    assert sum(any(x.whole for x in s.lines) for s in streams) > 100
    assert sum(s.outcome.moved_bytes > 0 for s in streams) > 60
    kernels = {layer.kernel for s in streams for layer in s.layers.values()}
    assert len(kernels) > 8


def any_stream(graph: Graph, seed: int) -> Stream | None:
    """Some cut, rows and kernels for a network; None where it cannot run in bands."""
    rng = np.random.default_rng(seed)
    most = len(windows(graph))
    if most == 0:
        return None
    count, rows = int(rng.integers(1, most + 1)), int(rng.integers(1, 5))
    layers = band_layers(graph, count, rows, core=draw(rng, CORE_OF))
    return make(graph, layers, is_fed=bool(rng.random() < 0.5))


@pytest.mark.slow
def test_networks_of_all_operators(tmp_path: Path) -> None:
    """Those that begin with layers that can run in bands."""
    rng, checked = np.random.default_rng(0), 0
    for seed in range(1500):
        layers = [Layer(draw(rng, OPERATORS), int(rng.integers(1 << 30))) for _ in range(4)]
        graph = random_network(layers, 1, seed)
        stream = any_stream(graph, seed)
        if stream is not None:
            directory = tmp_path / str(seed)
            directory.mkdir()
            check_host(graph, stream, directory)
            checked += 1
    assert checked > 50


@pytest.mark.slow
def test_small_networks(tmp_path: Path) -> None:
    checked = 0
    for seed in range(400):
        graph = small_network(seed)
        stream = any_stream(graph, seed)
        if stream is not None:
            directory = tmp_path / str(seed)
            directory.mkdir()
            check_host(graph, stream, directory)
            checked += 1
    assert checked > 50


# --- one network, in every way --------------------------------------------------------------------


@pytest.mark.parametrize("fed", [False, True], ids=["in the arena", "fed"])
@pytest.mark.parametrize(("count", "rows"), [(5, 1), (4, 2)])
def test_a_residual(count: int, rows: int, fed: bool, tmp_path: Path) -> None:
    graph = residual_network()
    check_host(graph, stream_of(graph, count, rows, core=M4, fed=fed, joined=True), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("count", range(1, 6))
def test_a_residual_cut_anywhere(count: int, rows: int, tmp_path: Path) -> None:
    graph = residual_network()
    for core in CORE_OF:
        for joined in (False, True):
            for fed in (False, True):
                stream = stream_of(graph, count, rows, core=core, fed=fed, joined=joined)
                check_host(graph, stream, tmp_path)


@pytest.mark.parametrize("fed", [False, True], ids=["in the arena", "fed"])
def test_on_qemu(fed: bool, tmp_path: Path, require_tool: Callable[[str], None]) -> None:
    require_tool("qemu-system-arm")
    require_tool("arm-none-eabi-gcc")
    graph = residual_network()
    artifact, _ = write(graph, stream_of(graph, 5, 2, core=M4, fed=fed, joined=True), tmp_path)
    (runner,) = (r for r in RUNNERS if r.name == "qemu-mps2-an386")
    check_session(graph, runner.open(artifact))


def test_the_same_stream_gives_the_same_text(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        graph = residual_network()
        _, network = write(graph, stream_of(graph, 5, 2, core=M4, fed=True), tmp_path / name)
        texts.append(dict(network.files))
    assert texts[0] == texts[1]
    assert PROVENANCE.version in texts[0]["net.c"]


# --- what layers take -----------------------------------------------------------------------------


def profiles(artifact: Artifact) -> tuple[LayerProfile, ...]:
    found, _ = count_layers(artifact, build(artifact, M4, compiler="clang"), Target(M4))
    return found


@pytest.mark.parametrize("fed", [False, True], ids=["in the arena", "fed"])
def test_layers_that_run_in_turn_are_counted_apart(fed: bool, tmp_path: Path) -> None:
    """Each writes its output, and its neighbour's is not counted as its own."""
    graph = residual_network()
    ways: dict[str, tuple[LayerProfile, ...]] = {}
    for name, stream in {
        "all at once": stream_of(graph, 5, 12),
        "row by row": stream_of(graph, 5, 1, fed=fed),
    }.items():
        (tmp_path / name).mkdir()
        artifact, _ = write(graph, stream, tmp_path / name)
        ways[name] = profiles(artifact)
    whole, rows = ways.values()
    assert [p.index for p in rows] == list(range(len(graph.nodes)))
    for a, b in zip(whole, rows, strict=True):
        written = graph.tensors[b.name].nbytes
        assert b.count.ram_writes >= written // 4, b.name
        if b.index < 5:
            # The kernels' work is the same, but for calls and for bytes that move.
            assert 0.7 < b.count.instructions / a.count.instructions < 4, b.name
        elif b.index < len(graph.nodes) - 1:  # the last has what comes behind it, too
            assert b.count.ram_writes == a.count.ram_writes, b.name


# --- whole models ---------------------------------------------------------------------------------

MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8")


@pytest.mark.slow
@pytest.mark.parametrize("fed", [False, True], ids=["in the arena", "fed"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_official_models(
    model: str, rows: int, fed: bool, tmp_path: Path, shared_path: Callable[[str], Path]
) -> None:
    graph = load_path(str(shared_path(f"models/mlperf_tiny/{model}.tflite")))
    graph = remove_channels(graph).graph.replace(name="net")
    count = len(windows(graph))
    assert count > 5
    for cut in (count, count // 2):
        stream = make(graph, band_layers(graph, cut, rows, core=M4), is_fed=fed)
        assert stream is not None
        check_host(graph, stream, tmp_path)


ZOO = {
    "DigitsResidualNet": (1, 1, 8, 8),
    "SimpleCNN": (1, 3, 15, 16),
    "MobileNetV2": (1, 3, 32, 32),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(name: str, tmp_path: Path) -> None:
    from tests.device.test_models import random_network as int8_of  # imports torch

    shape = ZOO[name]
    graph = int8_of(getattr(zoo, name)(), shape)
    count = len(windows(graph))
    assert count > 0
    for cut in {1, count // 2 or 1, count}:
        for rows in (1, 3):
            for fed in (False, True):
                stream = make(graph, band_layers(graph, cut, rows, core=M4), is_fed=fed)
                if stream is not None:
                    check_host(graph, stream, tmp_path)
