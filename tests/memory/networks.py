"""The reference networks and official models as int8 graphs, with the memory they need."""

from __future__ import annotations

import numpy as np
import torch

import edgecnn
from edgecnn.ir import Graph
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.zoo.tasks import TASKS
from firmware_export.c_writer import portable_calls
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.plan import Problem

OFFICIAL = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8")


def reference_network(task: str) -> Graph:
    """The untrained network of a task as an int8 graph, calibrated on noise."""
    train_x = TASKS[task].data().train_x
    parts = (train_x,) if isinstance(train_x, np.ndarray) else train_x
    examples = tuple(torch.zeros(1, *part.shape[1:]) for part in parts)
    torch.manual_seed(0)
    return as_int8(edgecnn.load(TASKS[task].network().eval(), *_one_or_all(examples)))


def _one_or_all(examples: tuple[torch.Tensor, ...]) -> tuple[object]:
    return (examples if len(examples) > 1 else examples[0],)


def as_int8(graph: Graph) -> Graph:
    """A float graph, calibrated on noise."""
    rng = np.random.default_rng(0)
    shapes = {name: (4, *graph.tensors[name].shape) for name in graph.inputs}
    feeds = {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}
    return quantize_graph(graph, feeds, "minmax")


def needs(graph: Graph) -> Problem:
    """What the portable layers of a graph need."""
    return problem(graph, portable_calls(graph))
