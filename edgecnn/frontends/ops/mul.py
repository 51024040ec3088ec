"""Elementwise product: ATen's mul and div, ONNX's Mul and Div, TFLite's MUL and float DIV."""

from __future__ import annotations

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.operands import operand
from edgecnn.frontends.ops.l2_normalization import normalized
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.ir import INT8
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.table import TableAttributes


@tflite("MUL")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MUL."""
    activation = fused_activation(op.options.fusedActivationFunction)
    return op.emit(b, "mul", op.inputs, MulAttributes(activation))


@aten(
    "mul.Tensor", "mul_.Tensor", "mul.Scalar", "mul_.Scalar",
    "multiply.Tensor", "multiply_.Tensor", "multiply.Scalar", "multiply_.Scalar",
)  # fmt: skip
def from_aten(b: GraphBuilder, x: Value | float, y: Value | float) -> Value:
    """Import a product of two tensors, or of a tensor and a number."""
    return b.emit("mul", [operand(b, x), operand(b, y)], MulAttributes())


@onnx("Mul")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Mul."""
    return from_aten(b, node.value(0), node.value(1))


def inverse(b: GraphBuilder, y: Value) -> Value:
    """1 / y, as a constant or as a table."""
    data = b.data(y)
    if data is None:
        return b.emit("table", [y], TableAttributes("reciprocal"), name=f"{b.scope}_reciprocal")
    if np.any(data == 0):
        raise Unsupported("it divides by a constant that is 0")
    return b.constant((1 / data.astype(np.float64)).astype(np.float32), f"{y}_reciprocal")


@aten(
    "div.Tensor", "div_.Tensor", "div.Scalar", "div_.Scalar", "true_divide.Tensor",
    "divide.Tensor", "divide_.Tensor",
)  # fmt: skip
def from_aten_div(b: GraphBuilder, x: Value | float, y: Value | float) -> Value:
    """Import a quotient, as a product with the reciprocal."""
    unit = normalized(b, x, y) if isinstance(x, Value) and isinstance(y, Value) else None
    return from_aten(b, x, inverse(b, operand(b, y))) if unit is None else unit


@onnx("Div")
def from_onnx_div(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Div."""
    return from_aten_div(b, node.value(0), node.value(1))


@tflite("DIV")
def from_tflite_div(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import DIV of a float network."""
    if op.output.dtype == INT8:
        raise Unsupported("division is not supported in int8", "multiply by the reciprocal")
    activation = fused_activation(op.options.fusedActivationFunction)
    factors = [op.inputs[0], inverse(b, op.inputs[1] or "")]
    return op.emit(b, "mul", factors, MulAttributes(activation))
