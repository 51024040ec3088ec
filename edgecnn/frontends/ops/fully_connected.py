"""Fully connected layer: ATen's linear, ONNX's Gemm and MatMul, TFLite's FULLY_CONNECTED."""

from __future__ import annotations

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.ir import Array
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes


@tflite("FULLY_CONNECTED")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import FULLY_CONNECTED with its default weights format."""
    o = op.options
    if o.weightsFormat != 0:
        raise Unsupported("its weights are in the shuffled format")
    activation = fused_activation(o.fusedActivationFunction)
    attributes = FullyConnectedAttributes(activation, bool(o.keepNumDims))
    return op.emit(b, "fully_connected", op.inputs, attributes)


def from_weights(b: GraphBuilder, x: Value, weights: Value, bias: Value | None) -> Value:
    """Import a product with constant weights (O, K); leading dimensions are kept."""
    if b.data(weights) is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    if bias is not None and b.data(bias) is None:
        raise Unsupported("its bias is computed by the network; it must be constant")
    attributes = FullyConnectedAttributes(keep_dims=len(b.shape(x)) != 2)
    return b.emit("fully_connected", [x, weights, bias], attributes)


@aten("linear.default")
def from_aten(b: GraphBuilder, x: Value, weights: Value, bias: Value | None = None) -> Value:
    """Import linear."""
    return from_weights(b, x, weights, bias)


@aten("mm.default", "matmul.default")
def from_aten_product(b: GraphBuilder, x: Value, matrix: Value) -> Value:
    """Import a product with a constant matrix (K, O)."""
    data = b.data(matrix)
    if data is None or data.ndim != 2:
        raise Unsupported("its second operand is not a constant matrix", "use Linear")
    return from_weights(b, x, b.constant(data.T, matrix), None)


@aten("addmm.default")
def from_aten_addmm(
    b: GraphBuilder, bias: Value, x: Value, matrix: Value, *, beta: float = 1, alpha: float = 1
) -> Value:
    """Import ``bias + x @ matrix``."""
    weights, offset = b.data(matrix), b.data(bias)
    if weights is None or offset is None:
        raise Unsupported("its weights or bias are computed by the network", "use Linear")
    if beta != 1 or alpha != 1 or offset.size != weights.shape[1]:
        raise Unsupported("it scales its operands or adds a matrix", "use Linear")
    vector = b.constant(offset.reshape(-1), bias)
    return from_weights(b, x, b.constant(weights.T, matrix), vector)


def _times(b: GraphBuilder, x: Value, weights: Value, bias: Value | None) -> Value:
    """`from_weights` for weights (O, K) that must fit the input."""
    if b.shape(x)[-1:] != b.shape(weights)[1:]:
        raise ModelFormatError(
            f"a product at '{b.scope}' has an input of shape {b.shape(x)} for weights of shape "
            f"{b.shape(weights)} (units, depth)"
        )
    return from_weights(b, x, weights, bias)


@onnx("MatMul")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import a product with a constant matrix (K, O), which may have leading axes of size 1."""
    x, matrix = node.value(0), node.value(1)
    data = b.data(matrix)
    if data is None or data.ndim < 2 or any(n != 1 for n in data.shape[:-2]):
        raise Unsupported("its second operand is not a constant matrix", "use Gemm or Conv")
    if data.ndim > max(2, len(b.shape(x))):
        raise Unsupported("its matrix has more axes than its input")
    return _times(b, x, b.constant(data.reshape(data.shape[-2:]).T, matrix), None)


@onnx("Gemm")
def from_onnx_gemm(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ``alpha * A @ B + beta * C`` with constant B; a constant row C is the bias."""
    a, x, matrix, addend = node.attributes, node.value(0), node.value(1), node.optional(2)
    data = b.data(matrix)
    if data is None or data.ndim != 2 or len(b.shape(x)) != 2:
        raise Unsupported("it does not multiply a matrix by a constant one", "use Conv")
    if a.get("transA", 0):
        x = b.transpose(x, (1, 0), "_transposed")
    oriented = data if a.get("transB", 0) else data.T
    weights = b.constant(_scaled(oriented, a.get("alpha", 1.0)), matrix)
    if addend is None or a.get("beta", 1.0) == 0:
        return _times(b, x, weights, None)
    offset = b.data(addend)
    if offset is None and a.get("beta", 1.0) != 1:
        raise Unsupported("it scales a computed C", "scale it in the layer before")
    if offset is None:
        return b.emit("add", [_times(b, x, weights, None), addend], AddAttributes())
    units, offset = oriented.shape[0], _scaled(offset, a.get("beta", 1.0))
    if offset.size in (1, units) and offset.shape[-1:] in ((), (1,), (units,)):
        row = np.broadcast_to(offset.reshape(-1), (units,))
        return _times(b, x, weights, b.constant(row, addend))
    return b.emit("add", [_times(b, x, weights, None), b.constant(offset, addend)], AddAttributes())


def _scaled(data: Array, factor: float) -> Array:
    return data if factor == 1 else (data * data.dtype.type(factor))
