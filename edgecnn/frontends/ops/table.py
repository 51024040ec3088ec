"""Functions of one variable that TFLite has no exact int8 operator for: all of them are tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.functions import SELU_ALPHA, SELU_SCALE
from edgecnn.ir import INT8, Tensor
from edgecnn.lookup import abs_table, elu_table, rsqrt_table
from edgecnn.ops.table import TableAttributes


def apply(b: GraphBuilder, x: Value, function: str, *parameters: float) -> Value:
    """Append a table of a named function."""
    values = tuple(float(value) for value in parameters)
    return b.emit("table", [x], TableAttributes(function, values))


#: Functions by what ATen, ONNX and TFLite call them, where they have no parameters.
_ATEN = {
    "abs": "abs", "ceil": "ceil", "cos": "cos", "erf": "erf", "exp": "exp", "exp2": "exp2",
    "expm1": "expm1", "floor": "floor", "hardsigmoid": "hard_sigmoid", "log": "log",
    "log1p": "log1p", "log_sigmoid": "log_sigmoid", "mish": "mish", "neg": "neg",
    "reciprocal": "reciprocal", "rsqrt": "rsqrt", "selu": "selu", "sign": "sign", "sgn": "sign",
    "silu": "silu", "sin": "sin", "sqrt": "sqrt", "square": "square", "special_erf": "erf",
    "absolute": "abs", "negative": "neg",
}  # fmt: skip
#: Those of them that write to their input under the same name with an underscore: all but two.
_IN_PLACE = _ATEN.keys() - {"log_sigmoid", "special_erf"}
_ONNX = {
    "Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "Log": "log", "Mish": "mish", "Neg": "neg", "Reciprocal": "reciprocal", "Round": "round",
    "Sign": "sign", "Sin": "sin", "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt",
}  # fmt: skip
_TFLITE = {
    "CEIL": "ceil", "COS": "cos", "EXP": "exp", "FLOOR": "floor", "LOG": "log", "NEG": "neg",
    "ROUND": "round", "SIGN": "sign", "SIN": "sin", "SQRT": "sqrt", "SQUARE": "square",
}  # fmt: skip


def _register() -> None:
    """Make an importer for each name: what they do differs in the function only."""
    for name, function in _ATEN.items():
        in_place = (f"{name}_.default",) if name in _IN_PLACE else ()

        @aten(f"{name}.default", *in_place)
        def from_aten(b: GraphBuilder, x: Value, *, function: str = function) -> Value:
            return apply(b, x, function)

    for name, function in _ONNX.items():

        @onnx(name)
        def from_onnx(b: GraphBuilder, node: OnnxNode, *, function: str = function) -> Value:
            return apply(b, node.value(0), function)

    for name, function in _TFLITE.items():

        @tflite(name)
        def from_tflite(b: GraphBuilder, op: TfliteOperator, *, function: str = function) -> Value:
            return _float_only(b, op, function)


_register()


# --- ATen, with parameters ------------------------------------------------------------------------


@aten("gelu.default", "gelu_.default")
def from_aten_gelu(b: GraphBuilder, x: Value, *, approximate: str = "none") -> Value:
    """Import gelu in either form."""
    return apply(b, x, "gelu_tanh" if approximate == "tanh" else "gelu")


@aten("elu.default", "elu_.default")
def from_aten_elu(
    b: GraphBuilder, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Value:
    """Import elu; TFLite's ELU only has alpha 1 and differs between runtimes."""
    return apply(b, x, "elu", alpha, scale, input_scale)


@aten("celu.default", "celu_.default")
def from_aten_celu(b: GraphBuilder, x: Value, alpha: float = 1) -> Value:
    """Import celu."""
    return apply(b, x, "celu", alpha)


@aten("softplus.default")
def from_aten_softplus(b: GraphBuilder, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """Import softplus."""
    return apply(b, x, "softplus", beta, threshold)


@aten("threshold.default", "threshold_.default")
def from_aten_threshold(b: GraphBuilder, x: Value, at: float, value: float) -> Value:
    """Import threshold."""
    return apply(b, x, "threshold", at, value)


@aten("hardshrink.default")
def from_aten_hardshrink(b: GraphBuilder, x: Value, bound: float = 0.5) -> Value:
    """Import hardshrink."""
    return apply(b, x, "hardshrink", bound)


@aten("softshrink.default")
def from_aten_softshrink(b: GraphBuilder, x: Value, bound: float = 0.5) -> Value:
    """Import softshrink."""
    return apply(b, x, "softshrink", bound)


@aten("round.default", "round_.default")
def from_aten_round(b: GraphBuilder, x: Value) -> Value:
    """Import round."""
    return apply(b, x, "round")


def power(b: GraphBuilder, x: Value, exponent: float) -> Value:
    """Import a power with a constant exponent."""
    named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", -0.5: "rsqrt"}
    if exponent == 1:
        return x
    if exponent in named:
        return apply(b, x, named[exponent])
    return apply(b, x, "power", exponent)


@aten("pow.Tensor_Scalar", "pow_.Scalar")
def from_aten_pow(b: GraphBuilder, x: Value, exponent: float) -> Value:
    """Import a tensor to a constant power."""
    return power(b, x, float(exponent))


@aten("pow.Scalar")
def from_aten_pow_of_number(b: GraphBuilder, base: float, x: Value) -> Value:
    """Import a number to the power of a tensor."""
    if base <= 0:
        raise Unsupported(f"it takes powers of {base}; only of positive numbers is supported")
    return apply(b, x, "power_of", base)


# --- ONNX, with parameters ------------------------------------------------------------------------


def scalar(b: GraphBuilder, value: Value | None) -> float | None:
    """The number that a constant of one element holds, or None."""
    data = b.data(value)
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else None


def _attribute(node: OnnxNode, name: str, default: float) -> float:
    return float(node.attributes.get(name, default))


@onnx("Elu", "Celu")
def from_onnx_elu(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Elu and Celu."""
    return apply(b, node.value(0), node.op_type.lower(), _attribute(node, "alpha", 1.0))


@onnx("Selu")
def from_onnx_selu(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Selu, whose constants may be given."""
    alpha, gamma = _attribute(node, "alpha", SELU_ALPHA), _attribute(node, "gamma", SELU_SCALE)
    return apply(b, node.value(0), "selu", alpha, gamma)


@onnx("HardSigmoid")
def from_onnx_hard_sigmoid(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import HardSigmoid."""
    slope, offset = _attribute(node, "alpha", 0.2), _attribute(node, "beta", 0.5)
    return apply(b, node.value(0), "hard_sigmoid", slope, offset)


@onnx("Gelu")
def from_onnx_gelu(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Gelu in either form."""
    is_tanh = node.attributes.get("approximate", "none") == "tanh"
    return apply(b, node.value(0), "gelu_tanh" if is_tanh else "gelu")


@onnx("Swish")
def from_onnx_swish(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Swish."""
    return apply(b, node.value(0), "silu", _attribute(node, "alpha", 1.0))


@onnx("ThresholdedRelu")
def from_onnx_thresholded_relu(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ThresholdedRelu."""
    return apply(b, node.value(0), "threshold", _attribute(node, "alpha", 1.0), 0.0)


@onnx("Shrink")
def from_onnx_shrink(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Shrink where it is a hard or a soft one."""
    bound, bias = _attribute(node, "lambd", 0.5), _attribute(node, "bias", 0.0)
    if bias not in (0.0, bound):
        raise Unsupported(f"its bias is {bias}; only 0 and its lambd, {bound}, are supported")
    return apply(b, node.value(0), "hardshrink" if bias == 0.0 else "softshrink", bound)


@onnx("Pow")
def from_onnx_pow(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import a constant power, or a power of a constant."""
    base, exponent = scalar(b, node.value(0)), scalar(b, node.value(1))
    if exponent is not None:
        return power(b, node.value(0), exponent)
    if base is None or base <= 0:
        raise Unsupported("its exponent is computed, or has several values")
    return apply(b, node.value(1), "power_of", base)


# --- TFLite ---------------------------------------------------------------------------------------


def _float_only(b: GraphBuilder, op: TfliteOperator, function: str, *parameters: float) -> Value:
    """Import a function of a float network; TFLite Micro computes none of these in int8."""
    if op.output.dtype == INT8:
        raise Unsupported("TensorFlow Lite Micro has no int8 kernel for it")
    return op.emit(b, "table", op.inputs[:1], TableAttributes(function, parameters))


def _from_bytes(b: GraphBuilder, op: TfliteOperator, function: str, compute: Any) -> Value:
    """Import a function whose int8 kernel of TFLite Micro is known, byte by byte."""
    if op.output.dtype != INT8:
        return _float_only(b, op, function)
    x = b.tensors[op.inputs[0] or ""]
    output = Tensor(op.output.name, op.output.shape, INT8, None, op.output.quant)
    values = compute(x, output).astype(np.int8).tobytes()
    return op.emit(b, "table", op.inputs[:1], TableAttributes(values=values))


@tflite("ELU")
def from_tflite_elu(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import ELU."""
    return _from_bytes(b, op, "elu", elu_table)


@tflite("ABS")
def from_tflite_abs(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import ABS."""
    return _from_bytes(b, op, "abs", abs_table)


@tflite("RSQRT")
def from_tflite_rsqrt(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RSQRT."""
    x = b.tensors[op.inputs[0] or ""]
    if op.output.dtype == INT8 and x.zero_point != -128:
        raise Unsupported(
            f"its input's zero point is {x.zero_point}: TensorFlow Lite Micro stops at inputs "
            "under it, so only -128 is supported"
        )
    return _from_bytes(b, op, "rsqrt", rsqrt_table)


@tflite("GELU")
def from_tflite_gelu(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import GELU of a float network."""
    return _float_only(b, op, "gelu_tanh" if op.options.approximate else "gelu")


@tflite("RELU_N1_TO_1")
def from_tflite_relu_n1_to_1(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU_N1_TO_1 of a float network."""
    return _float_only(b, op, "clip", -1.0, 1.0)


@tflite("RELU_0_TO_1")
def from_tflite_relu_0_to_1(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU_0_TO_1 of a float network."""
    return _float_only(b, op, "clip", 0.0, 1.0)
