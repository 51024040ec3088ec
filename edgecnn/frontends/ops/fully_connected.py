"""Fully connected layer: ATen's linear and addmm, TFLite's FULLY_CONNECTED."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, fused_activation, tflite
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
