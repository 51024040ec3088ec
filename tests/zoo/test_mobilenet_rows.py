"""A MobileNetV2 for pictures of 224x224 in the RAM of a small core: its input comes in rows."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn import zoo
from edgecnn.ir import Graph
from edgecnn.macs import total_macs
from firmware_export.runners.cortex_m import MAX_MACS

SIZE = 224
#: Expansion, channels, repetitions and stride of arXiv:1801.04381, at a width of 0.35.
BLOCKS = (
    (1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2),
    (6, 112, 1, 1),
)  # fmt: skip


def mobilenet_v2() -> Graph:
    """Random weights, normalized and calibrated on noise."""
    layers = [(t, c, s if i == 0 else 1) for t, c, n, s in BLOCKS for i in range(n)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = zoo.MobileNetV2(3, 1000, 16, layers, 1280)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the mean of what it sees
    x = np.random.default_rng(0).normal(size=(8, 3, SIZE, SIZE)).astype(np.float32)
    with torch.no_grad():
        module.train()(torch.from_numpy(x))
    graph = edgecnn.load(module.eval(), torch.zeros(1, 3, SIZE, SIZE))
    return edgecnn.quantize(graph, x)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_mobilenet_v2_of_224_in_128_kib(tmp_path: Path) -> None:
    graph = mobilenet_v2()
    assert total_macs(graph) < MAX_MACS  # one sample on the emulated core takes no minutes
    start = time.perf_counter()
    result = edgecnn.export(
        graph, tmp_path / "out", name="mobilenet", feed="rows", cpu="cortex-m4",
        runners=["tflm", "numpy", "host-c", "cortex-m4"], samples=0,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    assert result.profile is not None
    print(
        f"MobileNetV2 0.35: arena {result.memory.arena_bytes:,} bytes, "
        f"{result.profile.total.cycles:,} cycles; exported in {seconds:.0f} s"
    )
    assert result.memory.arena_bytes < 128 * 1024 < SIZE * SIZE * 3
    assert result.parity.reference == "tflm"
    assert result.parity.passed
    assert {r.name for r in result.parity.runners if r.values} >= {"host-c", "cortex-m4"}
