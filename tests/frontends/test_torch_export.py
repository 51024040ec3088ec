from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgecnn.errors import ModelFormatError, UnsupportedError
from edgecnn.frontends.torch_export import load_module, load_pt2
from edgecnn.passes import pipeline
from tests.frontends.torch_modules import CASES, IMAGE, TRANSPOSED, Call, conv
from tests.torch_helpers import (
    assert_equal_to_torch,
    check_module,
    counts,
    imported,
    random_inputs,
    randomize,
    run_graph,
)


@pytest.mark.parametrize("case", CASES)
def test_equals_torch_without_a_transpose(case: str) -> None:
    module, shapes = CASES[case]
    assert counts(check_module(module, *shapes))["transpose"] == 0


@pytest.mark.parametrize("case", TRANSPOSED)
def test_keeps_the_transposes_that_are_real(case: str) -> None:
    module, shapes, transposes = TRANSPOSED[case]
    assert counts(check_module(module, *shapes))["transpose"] == transposes


def network() -> nn.Sequential:
    return nn.Sequential(
        conv(3, 4, padding="same"), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
        conv(4, 4, groups=4, padding=1), nn.ReLU6(), nn.AvgPool2d(2), nn.Dropout(),
        nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1),
    )  # fmt: skip


NETWORK_INPUT = (1, 3, 9, 8)


# --- .pt2 files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_reads_pt2(tmp_path: Path, decomposed: bool, dynamic: bool) -> None:
    module = randomize(network())
    example = random_inputs([(2 if dynamic else 1, *NETWORK_INPUT[1:])])
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(module, example, dynamic_shapes=shapes)
    torch.export.save(program.run_decompositions() if decomposed else program, tmp_path / "n.pt2")
    graph = pipeline.run(load_pt2(tmp_path / "n.pt2", "net"))
    assert counts(graph)["transpose"] == 0
    assert len(graph.source_sha256) == 64
    assert_equal_to_torch(graph, module, random_inputs([NETWORK_INPUT]))


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", b"PK\x03\x04 but no more"], ids=["empty", "text", "cut zip"]
)
def test_refuses_what_is_no_pt2(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "n.pt2").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"not a \.pt2 file") as caught:
        load_pt2(tmp_path / "n.pt2", "net")
    assert "\n" not in str(caught.value)


def test_refuses_pickles_before_opening_them(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelFormatError, match=r"not a \.pt2 file"):
        load_pt2(tmp_path / "weights.pt", "net")


def test_refuses_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="No such file"):
        load_pt2(tmp_path / "absent.pt2", "net")
    torch.export.save(torch.export.export(nn.ReLU(), (torch.ones(1, 3),)), tmp_path / "n.pt2")
    data = bytearray((tmp_path / "n.pt2").read_bytes())
    start = data.index(b"graph_module")
    data[start : start + 40] = b"?" * 40
    (tmp_path / "n.pt2").write_bytes(data)
    with pytest.raises(ModelFormatError, match=r"corrupted|not a readable"):
        load_pt2(tmp_path / "n.pt2", "net")


def test_refuses_other_dynamic_sizes(tmp_path: Path) -> None:
    shapes = ({2: torch.export.Dim("height", min=4, max=64)},)
    program = torch.export.export(conv(3, 4), (torch.ones(IMAGE),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "n.pt2")
    with pytest.raises(ModelFormatError, match="only the batch may be dynamic"):
        load_pt2(tmp_path / "n.pt2", "net")


def test_refuses_a_fixed_batch_in_a_file(tmp_path: Path) -> None:
    program = torch.export.export(conv(3, 4), (torch.ones(4, 3, 5, 5),))
    torch.export.save(program, tmp_path / "n.pt2")
    with pytest.raises(ModelFormatError, match="fixed batch of 4"):
        load_pt2(tmp_path / "n.pt2", "net")


def test_refuses_a_file_in_training_mode(tmp_path: Path) -> None:
    program = torch.export.export(network().train(), (torch.ones(2, *NETWORK_INPUT[1:]),))
    torch.export.save(program, tmp_path / "n.pt2")
    with pytest.raises(ModelFormatError, match=r"model\.eval\(\)"):
        load_pt2(tmp_path / "n.pt2", "net")


# --- the module -----------------------------------------------------------------------------------


def test_leaves_the_module_as_it_was() -> None:
    module = network().train()
    module[1].eval()
    modes = [part.training for part in module.modules()]
    state = {key: value.clone() for key, value in module.state_dict().items()}
    load_module(module, (torch.ones(NETWORK_INPUT),), "net")
    assert [part.training for part in module.modules()] == modes
    assert list(module.state_dict()) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())


def test_takes_the_first_sample_of_a_batch() -> None:
    module = randomize(network())
    batch = random_inputs([(5, *NETWORK_INPUT[1:])])
    graph = pipeline.run(load_module(module, batch, "net"))
    assert graph.tensors[graph.inputs[0]].shape == (1, 9, 8, 3)
    assert_equal_to_torch(graph, module, batch)


def test_names_are_those_of_the_source() -> None:
    graph, _ = imported(network(), NETWORK_INPUT)
    constants = {name for name, tensor in graph.tensors.items() if tensor.data is not None}
    wanted = {key for key in network().state_dict() if not key.endswith("num_batches_tracked")}
    assert constants == wanted
    graph = pipeline.run(graph)
    assert graph.outputs == ("softmax",)
    assert [node.output for node in graph.nodes][:2] == ["relu", "max_pool2d"]
    assert {"0.weight", "0.bias", "4.weight", "9.weight"} <= set(graph.tensors)


def test_the_digest_follows_the_weights() -> None:
    module = nn.Linear(3, 2)
    example = (torch.ones(1, 3),)
    first = load_module(module, example, "net").source_sha256
    assert load_module(module, example, "net").source_sha256 == first
    with torch.no_grad():
        module.bias += 1
    assert load_module(module, example, "net").source_sha256 != first


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_rounds_other_floats_to_float32(dtype: torch.dtype) -> None:
    module = randomize(nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU()))
    inputs = random_inputs([IMAGE])
    graph = pipeline.run(load_module(module.to(dtype), tuple(x.to(dtype) for x in inputs), "net"))
    assert {tensor.dtype for tensor in graph.tensors.values()} == {"float32"}
    assert_equal_to_torch(graph, module.float(), inputs)


# --- refusals -------------------------------------------------------------------------------------


def problems(module: nn.Module, *shapes: tuple[int, ...]) -> dict[str, tuple[str, str]]:
    with pytest.raises(UnsupportedError) as caught:
        load_module(module, random_inputs(list(shapes)), "net")
    return {p.operator: (p.reason, p.substitute) for p in caught.value.problems}


def test_lists_every_unsupported_operator_once() -> None:
    module = nn.Sequential(
        conv(3, 4), nn.RReLU(), nn.MaxPool2d(2, dilation=2), nn.ReLU(), nn.GroupNorm(2, 4),
        conv(4, 4, 1), nn.Flatten(), nn.LazyLinear(3),
        Call(lambda m, x: x.topk(2, 1)[0]),
    )  # fmt: skip
    module(torch.ones(IMAGE))
    found = problems(module, IMAGE)
    assert list(found) == [
        "rrelu.default", "max_pool2d.default", "group_norm.default",
        "topk.default",
    ]  # fmt: skip
    assert all(advice for name, (_, advice) in found.items() if name != "max_pool2d.default")


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "topk": (Call(lambda m, x: x.topk(2, 1)[0]), "not supported"),
    "divisor": (nn.AvgPool2d(2, divisor_override=3), "overrides the divisor"),
    "adaptive": (nn.AdaptiveAvgPool2d(4), "does not divide"),
    "batch mean": (Call(lambda m, x: x.mean()), "averages over the batch"),
    "half": (Call(lambda m, x: x.half().float()), "converts to torch.float16"),
    "batch statistics": (nn.BatchNorm2d(3, track_running_stats=False), "train"),
    "made weights": (Call(lambda m, x: torch.conv2d(x, x)), "weights are computed"),
    "random": (Call(lambda m, x: x + torch.rand(3, 1, 1)), "random"),
    "indices": (
        Call(lambda m, x: torch.max_pool2d(x, 2) + 0 * torch.nn.functional.max_pool2d(
            x, 2, return_indices=True)[1]), "only the first",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    module, reason = REFUSED[case]
    assert any(reason in why for why, _ in problems(module, IMAGE).values())


def test_refuses_unbatched_images() -> None:
    reasons = problems(conv(1, 4), (1, 6, 6))
    assert "only (N, C, H, W)" in reasons["conv2d.default"][0]


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (nn.Embedding(3, 4), torch.zeros(1, 3, dtype=torch.int64), "only float32"),
        (nn.ReLU(), torch.zeros(3), "no batch dimension"),
        (Call(lambda m, x: x if x.sum() > 0 else -x), torch.ones(1, 3), "cannot capture"),
        (conv(3, 4), torch.ones(1, 5, 9, 9), "cannot capture"),
        (Call(lambda m, x: torch.ones(2)), torch.ones(1, 3), "does not depend on its input"),
        (Call(lambda m, x: ((y := torch.relu(x)), y)), torch.ones(1, 3), "same tensor twice"),
    ],
    ids=["integers", "rank 1", "control flow", "wrong shape", "constant", "twice"],
)
def test_refuses_in_one_line(module: nn.Module, example: Any, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_module(module, (example,), "net")
    assert "\n" not in str(caught.value)


def test_refuses_weights_that_are_not_finite() -> None:
    module = conv(3, 4)
    with torch.no_grad():
        module.weight[0, 0, 0, 0] = float("nan")
    assert "not finite" in problems(module, IMAGE)["conv2d.default"][0]


def test_many_samples_at_once() -> None:
    module = randomize(network())
    graph = pipeline.run(load_module(module, random_inputs([NETWORK_INPUT]), "net"))
    inputs = random_inputs([(6, *NETWORK_INPUT[1:])])
    with torch.no_grad():
        np.testing.assert_allclose(run_graph(graph, inputs)[0], module(*inputs), atol=1e-5)
