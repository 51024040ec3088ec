"""CMSIS-NN's own kernel vectors on the integer meaning of the operators.

They carry multipliers and shifts, not scales, so they enter as lowered parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.binary_operator import ScaledParams
from edgecnn.ir import Array
from edgecnn.operators import operator
from edgecnn.ops.add import LEFT_SHIFT
from edgecnn.ops.conv2d import Conv2DParams
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DParams
from edgecnn.ops.fully_connected import FullyConnectedParams
from edgecnn.ops.lstm import LstmParams
from edgecnn.ops.pad import PadParams
from edgecnn.ops.softmax import SoftmaxParams
from edgecnn.ops.transpose import TransposeParams
from edgecnn.pool_operator import PoolParams
from edgecnn.windows import Window

Params = dict[str, Any]
Arrays = dict[str, Array]
#: Operator, lowered parameters, inputs, and the bytes to get.
Vector = tuple[str, Any, list[Array], Array]


def _far_padding(output: int, stride: int, extent: int, size: int, near: int) -> int:
    """Padding behind an image, from the number of outputs."""
    return max(0, (output - 1) * stride + extent - size - near)


def _image(p: Params, data: Array) -> Array:
    return data.reshape(-1, p["input_h"], p["input_w"], p["in_ch"])


def _weighted(p: Params, weights: Array, axis: int, a: Arrays) -> dict[str, Any]:
    """What convolutions have in common."""
    dilation = (p["dilation_y"], p["dilation_x"])
    stride = (p["stride_y"], p["stride_x"])
    kernel = (p["filter_y"], p["filter_x"])
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    near = (p["pad_y"], p["pad_x"])
    output, size = (p["output_h"], p["output_w"]), (p["input_h"], p["input_w"])
    far = [_far_padding(*each) for each in zip(output, stride, extents, size, near, strict=True)]
    zero_point = -p["input_offset"]
    others = tuple(i for i in range(4) if i != axis)
    return {
        "input_shape": (1, *size, p["in_ch"]),
        "output_shape": (1, *output, p["out_ch"]),
        "weights": weights,
        "bias": a["biases"] - zero_point * weights.sum(axis=others, dtype=np.int64),
        "multiplier": a["output_mult"],
        "shift": a["output_shift"],
        "stride": stride,
        "padding": (near[0], far[0], near[1], far[1]),
        "dilation": dilation,
        "input_zero_point": zero_point,
        "output_zero_point": p["output_offset"],
        "activation_min": p["out_activation_min"],
        "activation_max": p["out_activation_max"],
    }


def _conv2d(p: Params, a: Arrays) -> Vector:
    depth = p["filter_ch"] if "filter_ch" in p else p["in_ch"]
    weights = a["weights"].reshape(p["out_ch"], p["filter_y"], p["filter_x"], depth)
    params = Conv2DParams(**_weighted(p, weights, 0, a), groups=p["in_ch"] // depth)
    return "conv2d", params, [_image(p, a["input"])], a["output_ref"]


def _depthwise_conv2d(p: Params, a: Arrays) -> Vector:
    weights = a["weights"].reshape(1, p["filter_y"], p["filter_x"], p["out_ch"])
    params = DepthwiseConv2DParams(**_weighted(p, weights, 3, a))
    return "depthwise_conv2d", params, [_image(p, a["input"])], a["output_ref"]


def _fully_connected(p: Params, a: Arrays) -> Vector:
    weights = a["weights"].reshape(p["out_ch"], -1)
    rows = p["input_batches"]
    zero_point = -p["input_offset"]
    params = FullyConnectedParams(
        rows=rows,
        output_shape=(rows, p["out_ch"]),
        weights=weights,
        bias=a["biases"] - zero_point * weights.sum(axis=1, dtype=np.int64),
        multiplier=np.full(p["out_ch"], p["output_multiplier"], np.int32),
        shift=np.full(p["out_ch"], p["output_shift"], np.int32),
        output_zero_point=p["output_offset"],
        activation_min=p["out_activation_min"],
        activation_max=p["out_activation_max"],
    )
    return "fully_connected", params, [a["input"].reshape(rows, -1)], a["output_ref"]


def _pool(op: str) -> Callable[[Params, Arrays], Vector]:
    def make(p: Params, a: Arrays) -> Vector:
        size, stride = (p["filter_h"], p["filter_w"]), (p["stride_h"], p["stride_w"])
        image, output = (p["input_h"], p["input_w"]), (p["output_h"], p["output_w"])
        near = (p["padding_h"], p["padding_w"])
        far = [_far_padding(*each) for each in zip(output, stride, size, image, near, strict=True)]
        window = Window(size, stride, (near[0], far[0], near[1], far[1]))
        x = a["input_tensor"].reshape(-1, *image, p["input_c"])
        shapes = (x.shape, (len(x), *output, p["output_c"]))
        params = PoolParams(*shapes, window, p["activation_min"], p["activation_max"])
        return op, params, [x], a["output"]

    return make


def _add(p: Params, a: Arrays) -> Vector:
    shape = (1, p["dst_size"])
    params = ScaledParams(
        input_shapes=(shape, shape),
        output_shape=shape,
        constants=(None, None),
        input_zero_points=(-p["input1_offset"], -p["input2_offset"]),
        left_shift=LEFT_SHIFT,
        input_multipliers=(p["input1_mult"], p["input2_mult"]),
        input_shifts=(p["input1_shift"], p["input2_shift"]),
        output_multiplier=p["output_mult"],
        output_shift=p["output_shift"],
        output_zero_point=p["output_offset"],
        activation_min=p["out_activation_min"],
        activation_max=p["out_activation_max"],
    )
    return "add", params, [a["input1"], a["input2"]], a["output_ref"]


def _pad(p: Params, a: Arrays) -> Vector:
    axes = ("n", "h", "w", "c")
    x = a["input_tensor"].reshape([p[f"input_{axis}"] for axis in axes])
    paddings = tuple((p[f"pre_pad_{axis}"], p[f"post_pad_{axis}"]) for axis in axes)
    return "pad", PadParams(x.shape, paddings, p["pad_value"]), [x], a["output"]


def _softmax(p: Params, a: Arrays) -> Vector:
    rows, depth = p["num_rows"], p["row_size"]
    params = SoftmaxParams(depth, rows, p["input_mult"], p["input_left_shift"], p["diff_min"])
    return "softmax", params, [a["input"].reshape(rows, depth)], a["output_ref"]


def _transpose(p: Params, a: Arrays) -> Vector:
    shape, order = (tuple(map(int, re.findall(r"\d+", p[key]))) for key in ("in_dim", "perm"))
    x = a["input_tensor"].reshape(shape)
    return "transpose", TransposeParams(shape, order), [x], a["output"]


def _lstm(p: Params, a: Arrays) -> Vector:
    gates = ("input", "forget", "cell", "output")
    units, zero_point = p["hidden_size"], p["output_zero_point"]

    def stacked(suffix: str, columns: int) -> Array:
        return np.stack([a[f"{gate}_gate_{suffix}"] for gate in gates]).reshape(4, -1, columns)

    def scaling(source: str) -> tuple[Array, Array]:
        return tuple(  # type: ignore[return-value]
            np.array([p[f"{gate}_gate_{source}_{part}"] for gate in gates], np.int32)
            for part in ("multiplier", "shift")
        )

    weights, recurrent = stacked("input_weights", p["input_size"]), stacked("hidden_weights", units)
    bias = np.stack([a[f"{gate}_gate_bias"] for gate in gates]).astype(np.int64)
    params = LstmParams(
        time_major=True,
        sequence=True,
        input_weights=weights,
        recurrent_weights=recurrent,
        input_bias=bias + p["input_zero_point"] * weights.sum(axis=2, dtype=np.int64),
        recurrent_bias=-zero_point * recurrent.sum(axis=2, dtype=np.int64),
        input_scaling=scaling("input"),
        recurrent_scaling=scaling("hidden"),
        update_scaling=(p["input_to_cell_multiplier"], p["input_to_cell_shift"]),
        hidden_scaling=(p["output_multiplier"], p["output_shift"]),
        cell_scale_power=p["cell_scale_power"],
        cell_min=-p["cell_clip"],
        cell_max=p["cell_clip"],
        initial_hidden=zero_point,
        hidden_zero_point=zero_point,
    )
    x = a["input_tensor"].reshape(p["time_steps"], p["batch_size"], p["input_size"])
    return "lstm", params, [x], a["output"]


#: CMSIS-NN function → how its vectors enter. A case may serve several functions.
READERS: tuple[tuple[str, Callable[[Params, Arrays], Vector]], ...] = (
    ("arm_convolve", _conv2d),
    ("arm_grouped_convolve", _conv2d),
    ("arm_depthwise_conv", _depthwise_conv2d),
    ("arm_fully_connected", _fully_connected),
    ("arm_avgpool", _pool("average_pool2d")),
    ("arm_max_pool", _pool("max_pool2d")),
    ("arm_elementwise_add", _add),
    ("arm_pad", _pad),
    ("arm_softmax", _softmax),
    ("arm_transpose_s8", _transpose),
    ("arm_lstm_unidirectional_s8", _lstm),
)


def _vectors(directory: Path) -> list[tuple[str, Vector]]:
    found = []
    for case in json.loads((directory / "index.json").read_text()):
        arrays = dict(np.load(directory / f"{case['case']}.npz"))
        for prefix, read in READERS:
            if any(function.startswith(prefix) for function in case["used_by"]):
                found.append((f"{case['case']} ({prefix})", read(case["params"], arrays)))
    return found


def test_vectors(shared_path: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    vectors = _vectors(shared_path("data/cmsis_nn"))
    for name, (op, params, inputs, expected) in vectors:
        (got,) = operator(op).evaluate_int(params, inputs)
        if not np.array_equal(got.reshape(-1), expected.reshape(-1)):
            wrong.append(name)
    with capsys.disabled():
        print(f"\nCMSIS-NN vectors: {len(vectors) - len(wrong)} of {len(vectors)} pass")
    assert len(vectors) >= 30
    assert not wrong
