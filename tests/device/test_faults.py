"""What would crash a board, or corrupt it in silence, is caught and named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import FitError, GeneratedCodeError, UserError
from edgecnn.parity import Artifact, random_feeds, verify
from firmware_export.boards import Region
from firmware_export.device.build import build
from firmware_export.device.cores import CORES
from firmware_export.device.machine import DeviceError
from firmware_export.device.memory import ROOMY, Memory
from firmware_export.device.network import EmulatedNetwork
from firmware_export.fit import STACK_ALLOWANCE_BYTES
from firmware_export.runners import select
from firmware_export.runners.cortex_m import CortexMRunner, CortexMSession
from tests.device.exports import small_export

CORE = CORES["cortex-m4"]


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return small_export(tmp_path)


def network(
    artifact: Artifact,
    *,
    memory: Memory = ROOMY,
    stack_bytes: int = STACK_ALLOWANCE_BYTES,
    defines: Sequence[str] = (),
) -> EmulatedNetwork:
    program = build(
        artifact, CORE, compiler="clang", memory=memory, stack_bytes=stack_bytes, defines=defines
    )
    found = EmulatedNetwork(artifact, program, CORE, memory)
    found.fill(sample(artifact))
    return found


def sample(artifact: Artifact) -> dict[str, np.ndarray]:
    return {name: x[0] for name, x in random_feeds(artifact.graph, 1, 0, extremes=False).items()}


def edit(artifact: Artifact, before: str, after: str) -> None:
    """Change the generated C by hand."""
    assert artifact.c_directory is not None
    path = artifact.c_directory / "net.c"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def one_byte_less(artifact: Artifact) -> list[str]:
    """An arena without the last byte that the network uses; its size is rounded up to words."""
    size = network(artifact).program.symbol("edgecnn_arena").size
    for smaller in range(size - 1, size - 5, -1):
        defines = [f"EDGECNN_ARENA_SIZE={smaller}"]
        found = network(artifact, defines=defines)
        try:
            found.run(found.counter().call)
        except DeviceError:
            return defines
    raise AssertionError("the last word of the arena is not used")


def test_an_arena_one_byte_too_small(artifact: Artifact) -> None:
    smaller = network(artifact, defines=one_byte_less(artifact))
    with pytest.raises(DeviceError) as caught:
        smaller.run(smaller.counter().call)
    text = str(caught.value)
    assert "1 bytes after the end of .arena" in text
    assert "edgecnn_conv2d" in text
    assert "layer 0 (conv2d " in text


def test_verification_finds_a_write_beside_the_arena(artifact: Artifact) -> None:
    """Without looking at every access; then it looks again, and names it."""
    program = build(artifact, CORE, compiler="clang", defines=one_byte_less(artifact))
    session = CortexMSession(artifact, program, CORE, ROOMY)
    feeds = random_feeds(artifact.graph, 1, 0, extremes=False)
    with pytest.raises(DeviceError, match=r"write of .* 1 bytes after the end of \.arena"):
        session.run(feeds)


def test_a_misaligned_arena(artifact: Artifact) -> None:
    found = network(artifact)
    found.arena += 1
    with pytest.raises(GeneratedCodeError, match="misaligned"):
        found.run()


def test_a_null_arena(artifact: Artifact) -> None:
    found = network(artifact)
    found.arena = 0
    with pytest.raises(GeneratedCodeError, match="null pointer"):
        found.run()


def test_a_network_larger_than_flash(artifact: Artifact) -> None:
    tiny = Memory("a tiny board", Region("flash", 0, 4096), ROOMY.ram)
    with pytest.raises(FitError, match=r"bytes too many for its flash of 4,096 bytes"):
        network(artifact, memory=tiny)


def test_a_network_larger_than_ram(artifact: Artifact) -> None:
    tiny = Memory("a tiny board", ROOMY.flash, Region("RAM", 0x2000_0000, 4096))
    with pytest.raises(FitError, match=r"bytes too many for its RAM of 4,096 bytes"):
        network(artifact, memory=tiny, stack_bytes=4000)


def test_a_stack_overflow(artifact: Artifact) -> None:
    with pytest.raises(DeviceError, match=r"stack overflow: write of 4 bytes .*layer 0 \(conv2d"):
        network(artifact, stack_bytes=64).run()


def test_a_write_to_constants(artifact: Artifact) -> None:
    edit(artifact, "    /* conv2d", "    *(volatile int8_t *)net_0_weights = 1;\n    /* conv2d")
    with pytest.raises(DeviceError, match=r"write of 1 bytes at 0x\w+, which is flash, in net_run"):
        network(artifact).run()


def test_a_read_where_nothing_is(artifact: Artifact) -> None:
    edit(artifact, "    /* softmax", "    (void)*(volatile int *)0x60000000u;\n    /* softmax")
    found = network(artifact)
    with pytest.raises(DeviceError) as caught:
        found.trace(sample(artifact))
    text = str(caught.value)
    assert "read of 4 bytes at 0x60000000, where there is no memory, in net_run" in text
    assert "(softmax '" in text


def test_a_counted_run_names_the_layer_too(artifact: Artifact) -> None:
    edit(artifact, "    /* softmax", "    (void)*(volatile int *)0x60000000u;\n    /* softmax")
    found = network(artifact)
    with pytest.raises(DeviceError, match=r"in net_run at 0x\w+, layer 4 \(softmax '"):
        found.run(found.counter().call)


def test_an_unaligned_access_of_the_m0plus(artifact: Artifact) -> None:
    edit(artifact, "    /* softmax", "    *(volatile int *)(memory + 1) = 0;\n    /* softmax")
    core = CORES["cortex-m0plus"]
    found = EmulatedNetwork(artifact, build(artifact, core, compiler="clang"), core, ROOMY)
    found.fill(sample(artifact))
    with pytest.raises(DeviceError, match="unaligned write of 4 bytes"):
        found.run(found.counter().call)


def test_code_that_does_not_compile(artifact: Artifact) -> None:
    edit(artifact, "    /* softmax", "    no_such_function();\n    /* softmax")
    with pytest.raises(UserError, match=r"does not compile for Cortex-M4: .*no_such_function"):
        network(artifact)


def test_an_unknown_compiler(artifact: Artifact) -> None:
    with pytest.raises(UserError, match="compiler 'msvc' is unknown; there are clang, gcc"):
        select("cortex-m4", "msvc")
    with pytest.raises(UserError, match="compiler 'msvc' is unknown"):
        build(artifact, CORE, compiler="msvc")


def test_a_network_too_large_for_any_core_is_left_out(artifact: Artifact) -> None:
    tiny = Memory("a tiny board", Region("flash", 0, 4096), ROOMY.ram)
    runners = [*select("numpy"), CortexMRunner(CORE, memory=tiny)]
    report = verify(artifact, runners, random_feeds(artifact.graph, 2, 0))
    (_, result) = report.runners
    assert report.passed
    assert not result.available
    assert "does not fit a tiny board" in result.reason
