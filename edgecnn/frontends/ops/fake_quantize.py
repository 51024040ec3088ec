"""Quantization as ONNX spells it between float operators: QuantizeLinear, DequantizeLinear."""

from __future__ import annotations

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, onnx
from edgecnn.ir import Array, QuantParams, Tensor
from edgecnn.ops.fake_quantize import FakeQuantizeAttributes

#: ONNX's TensorProto.DataType of the codes that an attribute output_dtype may name.
_CODES = {0: "uint8", 2: "uint8", 3: "int8"}
#: uint8 codes become int8 ones by this shift, of values and zero point alike.
_UINT8_SHIFT = 128


def _parameters(
    b: GraphBuilder, node: OnnxNode, rank: int, default: str
) -> tuple[QuantParams, str]:
    """Scales and zero points as int8 has them, and the type of the codes in the file."""
    if node.attributes.get("block_size", 0):
        raise Unsupported("it is quantized in blocks", "quantize by tensor or by channel")
    scale, zero_point = b.data(node.value(1)), b.data(node.optional(2))
    if scale is None or (node.optional(2) is not None and zero_point is None):
        raise Unsupported("its scale is computed by the network; it must be constant")
    dtype = default if zero_point is None else zero_point.dtype.name
    if dtype not in ("int8", "uint8", "int32"):
        raise Unsupported(f"its codes are {dtype}; only int8 and uint8 are supported")
    scales = scale.astype(np.float32).reshape(-1)
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise ModelFormatError("a scale is not over 0")
    zeros = np.zeros(1, np.int64) if zero_point is None else zero_point.astype(np.int64)
    if dtype == "uint8":
        zeros = zeros - _UINT8_SHIFT
    axis = int(node.attributes.get("axis", 1)) % max(rank, 1) if scales.size > 1 else None
    spread = tuple(int(z) for z in np.broadcast_to(zeros.reshape(-1), scales.shape))
    return QuantParams(tuple(float(s) for s in scales), spread, axis), dtype


def _mark(b: GraphBuilder, x: Value, quant: QuantParams, dtype: str) -> Value:
    """Append the rounding of an activation to its codes."""
    if quant.is_per_channel:
        raise Unsupported("it gives an activation several scales; TFLite has one a tensor")
    if dtype == "int32" or not INT8_MIN <= quant.zero_point[0] <= INT8_MAX:
        raise Unsupported(f"it computes {dtype} codes; only int8 and uint8 are supported")
    return b.emit("fake_quantize", [x], FakeQuantizeAttributes(quant))


@onnx("QuantizeLinear")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import QuantizeLinear of an activation; that of a constant is computed right away."""
    x, wanted = node.value(0), int(node.attributes.get("output_dtype", 0))
    quant, dtype = _parameters(b, node, len(b.shape(x)), _CODES.get(wanted, f"type {wanted}"))
    return _mark(b, x, quant, dtype)


@onnx("DequantizeLinear")
def from_onnx_dequantize(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import DequantizeLinear: of a constant, or of codes that are known by their reals already."""
    x = node.value(0)
    codes = b.data(x)
    quant, dtype = _parameters(
        b, node, len(b.shape(x)), "uint8" if codes is None else codes.dtype.name
    )
    if codes is not None:
        return _constant(b, codes, quant)
    before = _quantized_before(b, x)
    if before is None:
        return _mark(b, x, quant, dtype)
    if before != quant:
        raise Unsupported("its scale or zero point differs from the QuantizeLinear before it")
    return x


def _quantized_before(b: GraphBuilder, x: Value) -> QuantParams | None:
    """The scale of codes, which may have been moved; None for those of the network's input."""
    producers = {name: node for node in b.nodes for name in node.outputs}
    while x in producers:
        node = producers[x]
        if isinstance(node.attributes, FakeQuantizeAttributes):
            return node.attributes.quant
        x = node.inputs[0]
    return None


def _constant(b: GraphBuilder, codes: Array, quant: QuantParams) -> Value:
    """The reals of a constant; the tensor keeps the scales.

    They are float64, which an int32 bias times a float32 scale fits into.
    """
    shape = [1] * codes.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    if quant.axis is not None and codes.shape[quant.axis] != len(quant.scale):
        raise ModelFormatError(f"{len(quant.scale)} scales for a constant of shape {codes.shape}")
    shift = _UINT8_SHIFT if codes.dtype == np.uint8 else 0
    zero_point = np.asarray(quant.zero_point, np.float64).reshape(shape)
    scale = np.asarray(quant.scale, np.float64).reshape(shape)
    reals = (codes.astype(np.float64) - shift - zero_point) * scale
    return b.add_tensor(Tensor(b.scope, reals.shape, reals.dtype.name, reals, quant))
