"""Whole networks give the same bytes on emulated cores, whichever compiler built them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn import zoo
from edgecnn.ir import Array, Graph
from edgecnn.zoo.tasks import TASKS
from firmware_export.device.build import COMPILERS
from firmware_export.device.cores import CORES
from firmware_export.runners.qemu import RUNNERS
from tests.device.exactness import check_exact, check_runner
from tests.torch_helpers import randomize
from tests.zoo.test_tasks import fed, imported
from tests.zoo.test_zoo import NETWORKS

Find = Callable[[str], Path]

SMALL = ("ad01_int8", "kws_ref_model")
OFFICIAL = (*SMALL, "pretrainedResnet_quant", "vww_96_int8")
UNTASKED: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    **NETWORKS,
    "GestureNet": (zoo.GestureNet(), (1, 2, 64)),
}
CALIBRATION_SAMPLES = 16

both_compilers = pytest.mark.parametrize("arm_compiler", COMPILERS, indirect=True)


def official(model: str, find: Find) -> Graph:
    graph = edgecnn.load(find(f"models/mlperf_tiny/{model}.tflite"))
    return graph.replace(name="net")


def random_network(module: nn.Module, shape: tuple[int, ...]) -> Graph:
    """A module with random weights, calibrated on noise."""
    graph = edgecnn.load(randomize(module), torch.zeros(*shape))
    noise = np.random.default_rng(0).normal(size=(CALIBRATION_SAMPLES, *shape[1:]))
    return edgecnn.quantize(graph, noise.astype(np.float32)).replace(name="net")


def task_network(name: str) -> Graph:
    """A task's network as it is before training, calibrated on the task's data."""
    task = TASKS[name]
    split = task.data()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        graph = imported(task.network().eval(), split)
    samples: dict[str, Array] = fed(graph, split.train_x, CALIBRATION_SAMPLES)
    return edgecnn.quantize(graph, samples).replace(name="net")


@both_compilers
@pytest.mark.parametrize("model", SMALL)
def test_small_official_models(
    model: str, arm_compiler: str, shared_path: Find, tmp_path: Path
) -> None:
    check_exact(official(model, shared_path), tmp_path, "cortex-m4", arm_compiler)


@both_compilers
def test_the_network_of_the_demo(arm_compiler: str, tmp_path: Path) -> None:
    graph = random_network(zoo.DigitsResidualNet(), (1, 1, 8, 8))
    check_exact(graph, tmp_path, "cortex-m4", arm_compiler)


@pytest.mark.slow
@both_compilers
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("model", OFFICIAL)
def test_official_models(
    model: str, core: str, arm_compiler: str, shared_path: Find, tmp_path: Path
) -> None:
    check_exact(official(model, shared_path), tmp_path, core, arm_compiler)


@pytest.mark.slow
@both_compilers
@pytest.mark.parametrize("name", TASKS)
def test_networks_of_tasks(name: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = task_network(name)
    for core in CORES:
        check_exact(graph, tmp_path, core, arm_compiler)


@pytest.mark.slow
@both_compilers
@pytest.mark.parametrize("name", UNTASKED)
def test_other_reference_networks(name: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = random_network(*UNTASKED[name])
    for core in CORES:
        check_exact(graph, tmp_path, core, arm_compiler)


def any_network(name: str, find: Find) -> Graph:
    """One of all networks that are tested here."""
    if name in OFFICIAL:
        return official(name, find)
    return task_network(name) if name in TASKS else random_network(*UNTASKED[name])


@pytest.mark.slow
@both_compilers
@pytest.mark.parametrize("name", [*OFFICIAL, *TASKS, *UNTASKED])
def test_booted_in_qemu(
    name: str,
    arm_compiler: str,
    shared_path: Find,
    require_tool: Callable[[str], None],
    tmp_path: Path,
) -> None:
    require_tool("qemu-system-arm")
    graph = any_network(name, shared_path)
    for machine in RUNNERS:
        check_runner(graph, tmp_path, machine.built_by(arm_compiler))
