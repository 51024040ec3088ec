"""What constants take in flash: each is stored once, and every byte beyond the model's is named."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecnn
from edgecnn.ir import Array
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from firmware_export.c_writer import to_c
from firmware_export.device.cores import Core
from firmware_export.exporters import CArray
from firmware_export.fast_kernel import candidates, fast_kernels
from firmware_export.weight_sizes import WeightSizes, total, weight_sizes
from tests.command_line import small_int8
from tests.fast import test_conv2d_pooled as pooled
from tests.fast.fused_cases import pair_graph
from tests.fast.kernel_table import M0PLUS, M4, every_kernel
from tests.generated_networks import ALL_CASES, every_fused, numbered
from tests.ops.case_table import PROVENANCE, Case, Constant, Value, build

OUTPUT = (0.005, 3)


def with_ones(op: str, outputs: int, inputs: int, window: tuple[int, int]) -> Case:
    """A layer whose weights and biases are all 1, so that every zero that is stored is filling."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], Any, int]] = {
        "conv2d": ((1, 9, 9, inputs), (outputs, *window, inputs), Conv2DAttributes(), 0),
        "depthwise_conv2d": (
            (1, 9, 9, outputs), (1, *window, outputs), DepthwiseConv2DAttributes(), 3,
        ),
        "fully_connected": ((1, inputs), (outputs, inputs), FullyConnectedAttributes(), 0),
    }  # fmt: skip
    image, weights, attributes, axis = shapes[op]
    constants = (
        Constant(np.ones(weights, np.int8), (0.01,) * outputs, axis=axis),
        Constant(np.ones(outputs, np.int32), (0.0005,) * outputs, axis=0),
    )
    name = f"{op}-{outputs}-{inputs}-{window}"
    return Case(name, op, [Value(image, 0.05, 2), *constants], attributes, OUTPUT)


def zero_bytes(array: Array, item: int) -> int:
    """Bytes of an array's items, of so many bytes each, that are zero."""
    items = np.ascontiguousarray(array).reshape(-1).view(f"i{item}")
    return int((items == 0).sum()) * item


def zero_rows(array: Array) -> int:
    """Bytes of an array's rows that are all zero."""
    return int((array == 0).all(axis=tuple(range(1, array.ndim))).sum()) * array[0].nbytes


#: Each kernel with packed weights, and the bytes of a value in them.
PACKED = {
    "conv2d_blocked": 1,
    "conv2d_small": 1,
    "conv2d_winograd2": 2,
    "conv2d_winograd4": 2,
    "conv2d_winograd4_small": 2,
    "conv2d_winograd_rows": 2,
    "conv2d_winograd_tile": 2,
    "depthwise_conv2d_planar": 1,
    "depthwise_conv2d_small": 1,
    "fully_connected_blocked": 1,
    "fully_connected_small": 1,
}


@pytest.mark.parametrize("kernel", PACKED)
@pytest.mark.parametrize(
    ("outputs", "inputs"), [(1, 1), (2, 3), (3, 2), (4, 4), (5, 7), (7, 5), (8, 8), (13, 9)]
)
def test_padding_is_what_is_zero_where_all_weights_are_one(
    kernel: str, outputs: int, inputs: int
) -> None:
    op, core = fast_kernels()[kernel].op, core_of(kernel)
    windows = [(3, 3)] if "wino" in kernel or kernel.endswith("conv2d_small") else []
    windows = windows or [(3, 3), (1, 1), (2, 3), (5, 1), (4, 4)]
    for window in windows:
        graph = build([with_ones(op, outputs, inputs, window)])
        layer = candidates(graph.nodes[0], graph, core)[kernel]
        weights = layer.fields["weights"]
        assert isinstance(weights, CArray)
        assert weights.padding_bytes == zero_bytes(weights.data, PACKED[kernel]), window
        for name in ("channels", "bias"):
            table = layer.fields.get(name)
            if isinstance(table, CArray):
                assert table.padding_bytes == zero_rows(table.data), name


def core_of(kernel: str) -> Core:
    return M4 if fast_kernels()[kernel].needs_dsp else M0PLUS


def test_padding_is_met() -> None:
    """That the cases above have some, and of which size: 3 filters of 2 channels fill up to 4."""
    graph = build([with_ones("conv2d", 3, 2, (3, 3))])
    found = candidates(graph.nodes[0], graph, M4)
    padding = {
        (kernel, field): array.padding_bytes
        for kernel, layer in found.items()
        for field, array in layer.fields.items()
        if isinstance(array, CArray)
    }
    # A row of 3 pixels with 2 channels has 6 bytes, whole pairs; the fourth filter is filling.
    assert padding["conv2d_blocked", "weights"] == 3 * 6
    assert padding["conv2d_blocked", "channels"] == 3 * 4
    # 4 filters of 4 channels in place of 3 of 2, each value two bytes at 16 positions.
    assert padding["conv2d_winograd2", "weights"] == 2 * 16 * (4 * 4 - 3 * 2)
    assert padding["conv2d_winograd4", "channels"] == 7 * 4


@pytest.mark.parametrize("core", [M4, M0PLUS], ids=lambda core: core.name)
def test_every_stored_byte_is_of_one_layer(core: Core) -> None:
    """Of every operator and fast kernel; the model's bytes are those of its constants."""
    few = [
        case for _, cases in itertools.groupby(ALL_CASES, lambda c: c.op) for case in [*cases][:2]
    ]
    for graph, layers in (
        (build(numbered(few)), {}),
        every_kernel(build(numbered(few)), core),
        every_fused(pair_graph(pooled.CASES[:4])),
    ):
        network = to_c(graph, "net", PROVENANCE, chosen=layers)
        sizes = weight_sizes(graph, network)
        everything = total(sizes)
        assert everything.stored == network.weight_bytes
        distinct = {
            (data.dtype.name, data.tobytes()): data.nbytes
            for node in graph.nodes
            for name in node.inputs
            for data in [graph.constant(name)]
            if data is not None
        }
        assert everything.model == sum(distinct.values())
        assert all(s.padding >= 0 and s.stored >= s.padding for s in sizes.values())
        assert everything.expansion == everything.stored - everything.model - everything.padding


# --- stored once ------------------------------------------------------------------------------


def convolution(name: str, weights: Array, bias: Array) -> Case:
    constants = (Constant(weights, (0.01,)), Constant(bias, (0.0005,)))
    return Case(name, "conv2d", [Value((1, 9, 9, 4), 0.05), *constants], Conv2DAttributes(), OUTPUT)


@pytest.mark.parametrize("core", [None, M4, M0PLUS], ids=str)
def test_what_layers_have_in_common_is_stored_once(core: Core | None) -> None:
    """Weights, biases, tables of channels: of two layers with equal ones, by whatever kernel."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-9, 10, (5, 3, 3, 4), np.int8)
    bias = rng.integers(-999, 999, 5, np.int32)
    first, twin = convolution("first", weights, bias), convolution("twin", weights.copy(), bias)
    other = convolution("other", weights[::-1].copy(), bias)
    for kernel in [""] if core is None else candidates_of(first, core):
        sizes = {
            name: stored([first, *more], core, kernel)
            for name, more in (("alone", []), ("twins", [twin]), ("others", [other]))
        }
        assert total(sizes["twins"]) == total(sizes["alone"]), kernel
        assert list(sizes["twins"]) == [0], kernel
        later = sizes["others"][1]
        assert later.model == weights.nbytes  # the bias is that of the first layer
        assert later.stored >= weights.nbytes


def candidates_of(case: Case, core: Core) -> list[str]:
    graph = build([case])
    return list(candidates(graph.nodes[0], graph, core))


def stored(cases: list[Case], core: Core | None, kernel: str) -> dict[int, WeightSizes]:
    graph = build(cases)
    chosen = {
        node.output: candidates(node, graph, core)[kernel]
        for node in graph.nodes
        if core is not None
    }
    network = to_c(graph, "net", PROVENANCE, chosen=chosen)
    source = network.files["net_weights.c"]
    names = [line.split()[2].split("[")[0] for line in source.splitlines() if "const " in line]
    bodies = [part.split("{")[1].split("}")[0] for part in source.split("const ")[1:]]
    typed = [part.split()[0] for part in source.split("const ")[1:]]
    assert len(set(zip(typed, bodies, strict=True))) == len(names)
    return weight_sizes(graph, network)


def test_operands_and_weights_share_an_array() -> None:
    """An operand of a sum whose bytes are those of a layer's weights is not stored again."""
    data = np.arange(-20, 20, dtype=np.int8).reshape(4, 10)
    linear = [Value((1, 10)), Constant(data, (0.01,)), None]
    sums = [Value((4, 10)), Constant(data, (0.01,))]
    graph = build([
        Case("linear", "fully_connected", linear, FullyConnectedAttributes(), OUTPUT),
        Case("sum", "add", sums, AddAttributes(), OUTPUT),
    ])  # fmt: skip
    network = to_c(graph, "net", PROVENANCE)
    source = network.files["net_weights.c"]
    assert source.count("-20, -19, -18") == 1
    sizes = weight_sizes(graph, network)
    assert sizes[0].model == total(sizes).model == data.nbytes
    assert total(sizes).stored == network.weight_bytes


# --- where it is shown ------------------------------------------------------------------------


def test_the_manifest_and_the_report_show_it(tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path / "out", name="small", samples=0, runners="numpy")
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
    keys = ("stored_bytes", "model_bytes", "padding_bytes", "expansion_bytes")
    for key in keys:
        assert facts["weights"][key] == sum(layer["weights"][key] for layer in facts["layers"])
    assert facts["weights"]["stored_bytes"] == facts["weight_bytes"]
    # Two convolutions of 4 filters and a layer of 10 units, with their biases.
    assert facts["weights"]["model_bytes"] == 4 * 9 + 16 + 16 * 9 + 16 + 640 + 40
    page = (tmp_path / "out" / "report.html").read_text()
    assert '<th class="n">Stored</th><th class="n">Padding</th>' in page
    totals = page[page.index("<tfoot>") : page.index("</tfoot>")]
    shown = [facts["weights"][key] for key in ("model_bytes", "stored_bytes", "padding_bytes")]
    cells = "".join(f'<td class="n">{value:,}</td>' for value in shown).replace(",", "\u202f")
    assert cells in totals


def test_sizes_add_up() -> None:
    a, b = WeightSizes(100, 60, 8), WeightSizes(10, 12, 0)
    assert (a + b, a.expansion, b.expansion) == (WeightSizes(110, 72, 8), 32, -2)
    assert total({}) == WeightSizes()
    assert total(dict(enumerate(itertools.repeat(a, 3)))) == WeightSizes(300, 180, 24)
