"""ONNX's own backend tests on our operators: every case of float32 whose operators are known."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgecnn.errors import UserError
from edgecnn.frontends import onnx_file
from edgecnn.frontends.spelling import importers
from edgecnn.ir import Array
from edgecnn.passes import pipeline
from tests.onnx_models import run_graph

#: Float cases that are refused, by the reason. One that passes, or has another reason, is a fault.
EXCLUDED: dict[str, tuple[str, ...]] = {
    "its direction is": (
        "test_gru_reverse", "test_gru_bidirectional", "test_lstm_reverse",
        "test_lstm_bidirectional",
    ),
    "it has peepholes": ("test_lstm_with_peepholes",),
    "its p is 1": ("test_l1normalization_axis_*",),
    "only 1 is supported": (
        "test_averagepool_2d_dilations", "test_maxpool_2d_dilations",
        "test_MaxPool2d_stride_padding_dilation", "test_MaxPool1d_stride_padding_dilation",
    ),
    "only (N, C, H, W) is supported": (
        "test_averagepool_3d_*", "test_maxpool_3d_*", "test_convtranspose_3d", "test_Conv3d*",
        "test_MaxPool3d*", "test_AvgPool3d*",
    ),
    "it is in training mode": (
        "test_batchnorm_*_training_mode", "test_training_dropout", "test_training_dropout_*",
    ),
    "not a constant matrix": (
        "test_matmul_3d", "test_matmul_4d", "test_matmul_bcast", "test_matmul_1d_*",
        "test_matmul_4d_1d", "test_flexattention_expanded_ver26",
        *(
            f"test_flexattention_{form}_expanded_ver26"
            for form in (
                "scaled", "gqa", "diff_head_sizes", "score_mod", "prob_mod", "soft_cap",
            )
        ),
    ),
    "it averages over the batch": ("test_reduce_mean_default_axes_*", "test_mvn_expanded*"),
    "it reduces the batch": (
        "test_reduce_*_default_axes_keepdim*", "test_reduce_log_sum_asc_axes_expanded",
        "test_reduce_log_sum_default_expanded", "test_logsoftmax_axis_0_expanded*",
        "test_softmax_axis_0_expanded*",
    ),
    # Tensors without a value.
    "is empty": (
        "test_reshape_allowzero_reordered", "test_reduce_*_empty_set*", "test_split_zero_size_*",
        "test_rotary_embedding_expanded", "test_rotary_embedding_3d_input_expanded",
        "test_rotary_embedding_interleaved_expanded",
        "test_rotary_embedding_no_position_ids_expanded",
        "test_rotary_embedding_no_position_ids_interleaved_expanded",
    ),
    "it takes nothing of": ("test_slice_start_out_of_bounds",),
    "its exponent is computed": (
        "test_pow", "test_pow_example", "test_pow_bcast_array", "test_pow_types_float32_*",
        "test_operator_pow",
    ),
    "(use nearest or linear)": (
        "test_resize_*_cubic", "test_resize_*_cubic_A_*", "test_resize_*_cubic_align_corners",
        "test_resize_*_cubic_asymmetric", "test_resize_tf_crop_and_resize*",
    ),
    "its scales lead to a broken size": (
        "test_resize_downsample_scales_linear", "test_resize_*_linear_half_pixel_symmetric",
        "test_resize_downsample_scales_linear_align_corners",
    ),
    "it filters, or keeps the aspect ratio": (
        "test_resize_*_antialias", "test_resize_*_not_larger", "test_resize_*_not_smaller",
    ),
    # TFLite's integer arithmetic of nearest pixels knows fewer ways.
    "by other pixels than TFLite takes": (
        "test_resize_downsample_sizes_nearest",
        "test_resize_upsample_sizes_nearest_floor_align_corners",
        "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric",
        "test_resize_upsample_sizes_nearest_ceil_half_pixel",
    ),
}  # fmt: skip


def reason(name: str) -> str | None:
    from fnmatch import fnmatchcase

    found = [r for r, names in EXCLUDED.items() if any(fnmatchcase(name, n) for n in names)]
    return found[0] if found else None


def whole(case: Any) -> Any:
    return case.model or onnx.load(str(Path(case.model_dir) / "model.onnx"))


def data_sets(case: Any) -> Iterator[tuple[list[Array], list[Array]]]:
    """Inputs and outputs of a case, from memory or from its folder."""
    if case.data_sets is not None:
        yield from case.data_sets
        return
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        yield tuple(  # type: ignore[misc]
            [
                numpy_helper.to_array(onnx.load_tensor(str(folder / f"{kind}_{i}.pb")))
                for i in range(len(list(folder.glob(f"{kind}_*.pb"))))
            ]
            for kind in ("input", "output")
        )


def is_candidate(model: Any, known: set[str]) -> bool:
    """Whether all operators are known, and the first input and all outputs are float32 tensors."""
    ends = [*model.graph.input[:1], *model.graph.output]
    return (
        {node.op_type for node in model.graph.node} <= known
        and bool(model.graph.input)
        and all(info.type.tensor_type.elem_type == TensorProto.FLOAT for info in ends)
    )


def run_case(model: Any, inputs: list[Array], activations: int) -> Iterator[list[Array]]:
    """Outputs before and after the passes; inputs from number ``activations`` on are constants."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    initialized = {tensor.name for tensor in model.graph.initializer}
    infos = [info for info in model.graph.input if info.name not in initialized]
    names = [info.name for info in infos]
    given = dict(zip(names, map(np.asarray, inputs), strict=False))
    constants = [(n, a) for n, a in given.items() if n in names[activations:]]
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants)
    feeds = {name: given[name] for name in names[:activations]}
    shapes = {name: array.shape for name, array in feeds.items()}
    graph = onnx_file.read(onnx_file.parse(model.SerializeToString()), "case", shapes)
    yield run_graph(graph, feeds)
    yield run_graph(pipeline.run(graph), feeds)


def compare(case: Any, model: Any) -> None:
    """All inputs are fed where that is possible, else the first one."""
    for inputs, wanted in data_sets(case):
        try:
            results = list(run_case(model, inputs, len(inputs)))
        except UserError:
            results = list(run_case(model, inputs, 1))
        for outputs in results:
            for got, want in zip(outputs, wanted, strict=True):
                assert got.shape == want.shape
                np.testing.assert_allclose(got, want, rtol=case.rtol, atol=max(case.atol, 1e-5))


@pytest.mark.parametrize("kind", ["node", "simple", "pytorch-operator", "pytorch-converted"])
def test_backend_cases(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind=kind)
    counted: Counter[str] = Counter()
    faults: list[str] = []
    known = {*importers().onnx, "Constant", "Shape"}
    for case in cases:
        model = whole(case)
        if not is_candidate(model, known):
            counted["of other operators or types"] += 1
            continue
        expected = reason(case.name)
        try:
            compare(case, model)
        except UserError as error:
            if expected is None or expected not in str(error):
                faults.append(f"{case.name}: {error}")
            counted[f"excluded: {expected}"] += 1
        except Exception as error:
            faults.append(f"{case.name}: {type(error).__name__}: {error}")
        else:
            counted["passed"] += 1
            if expected is not None:
                faults.append(f"{case.name} is excluded ('{expected}') but passes")
    with capsys.disabled():
        print(f"\nONNX backend cases of kind {kind}: {len(cases)}")
        for what, count in sorted(counted.items()):
            print(f"  {count:5d} {what}")
    assert not faults, "\n".join(faults)
    assert counted["passed"] >= {"node": 100, "pytorch-converted": 20}.get(kind, 1)
