"""Runs the command line in this process, and makes the small networks that it is run on."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import edgecnn
from edgecnn import cli
from edgecnn.ir import Array, Graph
from firmware_export.tflite_writer import to_tflite

torch.set_num_threads(1)

#: The runners that must agree byte for byte; litert is the one with known differences.
EXACT_RUNNERS = ("numpy", "tflm", "tflite", "host-c")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; fails where there is anything else."""
        return json.loads(self.out)


def edgecnn_command(*arguments: object) -> Outcome:
    """Run ``edgecnn`` with some arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run([str(a) for a in arguments])
    return Outcome(status, out.getvalue(), err.getvalue())


def succeeds(*arguments: object) -> Outcome:
    """Run a command that must end with status 0."""
    outcome = edgecnn_command(*arguments)
    assert outcome.status == 0, outcome
    return outcome


def fails(status: int, *arguments: object) -> str:
    """Run a command that must end with a status and one line on stderr; return that line."""
    outcome = edgecnn_command(*arguments)
    assert outcome.status == status, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("edgecnn: error: ")
    assert "Traceback" not in outcome.err
    return lines[0].removeprefix("edgecnn: error: ")


class Small(nn.Module):
    """Convolution, batch norm, residual sum, pooling and a linear layer on 8x8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(x) + x)
        return self.last(nn.functional.max_pool2d(x, 2).flatten(1))


class TwoInputs(nn.Module):
    """Two images of different sizes in, two results out."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 3, 3)
        self.right = nn.Conv2d(2, 3, 1)
        self.head = nn.Linear(3 * 4 * 4, 5)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        mixed = torch.relu(self.left(a)) + self.right(b)
        return self.head(mixed.flatten(1)), mixed


def seeded(module: nn.Module) -> nn.Module:
    """Give a module weights that are the same in every process."""
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, 0.4, tuple(parameter.shape))))
    return module.eval()


def small() -> nn.Module:
    """A factory, as ``tests.command_line:small`` names it."""
    return seeded(Small())


def two_inputs() -> nn.Module:
    """A factory of a network with two inputs and two outputs."""
    return seeded(TwoInputs())


def not_a_module() -> str:
    """A factory that returns the wrong thing."""
    return "weights"


def raising() -> nn.Module:
    """A factory that does not come to an end."""
    raise ValueError("no such\ndata set")


class TwoUnsupported(nn.Module):
    """Two operators that no int8 network of ours can have, far apart."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.last = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.erfinv(self.first(x))
        return torch.cumsum(self.last(x.flatten(1)), 1)


def unsupported() -> nn.Module:
    """A factory of a network that must be refused."""
    return TwoUnsupported()


def images(count: int = 24, seed: int = 0) -> Array:
    """Uniform noise of the shape that `small` takes: (count, 1, 8, 8) float32."""
    return np.random.default_rng(seed).random((count, 1, 8, 8), dtype=np.float32)


@functools.cache
def small_float() -> Graph:
    return edgecnn.load(small(), torch.zeros(1, 1, 8, 8))


@functools.cache
def small_int8() -> Graph:
    return edgecnn.quantize(small_float(), images())


@functools.cache
def small_tflite() -> bytes:
    """An int8 ``.tflite`` file."""
    return to_tflite(small_int8(), "test")


@functools.cache
def small_pt2() -> bytes:
    """A ``.pt2`` file of the float network."""
    logging.getLogger("torch").setLevel(logging.ERROR)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(small(), (torch.zeros(1, 1, 8, 8),)), buffer)
    return buffer.getvalue()


def write(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data)
    return path


def write_images(path: Path, *, labels: bool = False, count: int = 24) -> Path:
    """An ``.npy`` file of images, or an ``.npz`` with the classes that `small` gives them."""
    x = images(count)
    if not labels:
        np.save(path, x)
        return path
    with torch.no_grad():
        y = small()(torch.from_numpy(x)).argmax(1).numpy()
    np.savez(path, x=x, y=y)
    return path


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
