"""Networks whose generated C is tested, and a strict compilation of it."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.ir import Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import operators
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.transpose import TransposeAttributes
from firmware_export.exporters import CLayer
from firmware_export.fused_kernel import fused_kernels
from tests.fast import test_conv2d_pooled as pooled
from tests.fast.fused_cases import fused_layers, pair_graph
from tests.fast.kernel_table import M0PLUS, M4, every_kernel
from tests.fast.test_add_linear import ordinary_add
from tests.fast.test_sub_linear import ordinary_sub
from tests.ops.case_table import Case, build
from tests.wide.wide_table import every_wide_case

#: The named cases of every operator, from its own test module.
ALL_CASES: list[Case] = [
    case
    for op in sorted(name for name, op in operators().items() if not op.is_float_only)
    for case in importlib.import_module(f"tests.ops.test_{op}").CASES
]


def numbered(cases: Sequence[Case]) -> list[Case]:
    """Cases of several tables under names of their own."""
    return [replace(case, name=f"{i}-{case.op}-{case.name}") for i, case in enumerate(cases)]


def every_case() -> Graph:
    """The named cases of all operators, side by side."""
    return build(numbered(ALL_CASES), "every")


def chain() -> Graph:
    """One network with the operators of a plain CNN, one after the other, and a residual."""
    rng = np.random.default_rng(1)
    act = QuantParams.per_tensor(0.05, 4)
    tensors = {"x": Tensor("x", (1, 8, 8, 2), "int8", None, act)}
    nodes: list[Node] = []

    def constant(name: str, data: Array, scale: float) -> str:
        tensors[name] = Tensor(
            name, data.shape, data.dtype.name, data, QuantParams.per_tensor(scale, 0)
        )
        return name

    def step(
        op: str, inputs: Sequence[str], attributes: Any = None, quant: QuantParams = act
    ) -> str:
        a = operators()[op].attributes() if attributes is None else attributes
        (shape,) = operators()[op].infer_shapes(a, [tensors[n].shape if n else () for n in inputs])
        name = f"{op}_{len(nodes)}"
        tensors[name] = Tensor(name, shape, "int8", None, quant)
        nodes.append(Node(op, tuple(inputs), (name,), a))
        return name

    def weights(*shape: int) -> Array:
        return rng.integers(-127, 128, shape, dtype=np.int8)

    padded = step("pad", ["x"], PadAttributes(((0, 0), (1, 1), (1, 1), (0, 0))))
    bias = constant("bias", np.array([5, -9, 1000, 0], np.int32), 0.0005)
    conv = step(
        "conv2d", [padded, constant("w1", weights(4, 3, 3, 2), 0.01), bias], Conv2DAttributes()
    )
    kernel = constant("w2", weights(1, 3, 3, 4), 0.01)
    same = DepthwiseConv2DAttributes(padding=(1, 1, 1, 1))
    depthwise = step("depthwise_conv2d", [conv, kernel, ""], same)
    total = step("add", [conv, depthwise], AddAttributes("relu"))
    pooled = step("max_pool2d", [step("relu", [total])], MaxPool2DAttributes((2, 2), (2, 2)))
    pooled = step("average_pool2d", [step("relu6", [pooled])], AveragePool2DAttributes((2, 2)))
    turned = step("transpose", [pooled], TransposeAttributes((0, 3, 1, 2)))
    averaged = step("mean", [turned], MeanAttributes((3,)))
    flat = step("reshape", [averaged], ReshapeAttributes((1, 12)))
    last = step(
        "fully_connected",
        [flat, constant("w3", weights(5, 12), 0.01), ""],
        FullyConnectedAttributes(),
    )
    step("softmax", [last], SoftmaxAttributes(), QuantParams.per_tensor(1 / 256, -128))
    return Graph("chain", tuple(nodes), tensors, ("x",), (nodes[-1].output,))


def portable(graph: Graph) -> tuple[Graph, dict[str, CLayer]]:
    """A graph as it is without a choice of kernels."""
    return graph, {}


def every_fast_case() -> Graph:
    """Every case, and sums and differences whose outputs are seldom exactly halfway."""
    rng = np.random.default_rng(0)
    ordinary = [ordinary_add(rng, f"add-{i}") for i in range(4)]
    ordinary += [ordinary_sub(rng, f"sub-{i}") for i in range(4)]
    return build([*numbered(ALL_CASES), *ordinary], "every")


def every_fused(graph: Graph) -> tuple[Graph, dict[str, CLayer]]:
    """A graph of pairs with the kernels that can compute them."""
    return graph, {k: v for stem in fused_kernels() for k, v in fused_layers(stem, graph).items()}


#: Networks with their fast layers, by name.
NETWORKS = {
    "chain": lambda: portable(chain()),
    "every case": lambda: portable(every_case()),
    "every kernel with DSP instructions": lambda: every_kernel(every_fast_case(), M4),
    "every kernel without": lambda: every_kernel(every_fast_case(), M0PLUS),
    "every case in 16 bits": lambda: portable(every_wide_case(1)),
    "every kernel of two operators": lambda: every_fused(pair_graph(pooled.CASES[:4])),
}


def compile_or_fail(command: Sequence[str], directory: Path) -> None:
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[:3000]
    assert result.stderr == ""
