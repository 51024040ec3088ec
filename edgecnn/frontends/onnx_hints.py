"""What to use instead of ONNX operators that have no counterpart."""

from __future__ import annotations

_QDQ = "quantize in the QDQ format (QuantizeLinear, DequantizeLinear)"

_SUBSTITUTES = {
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "InstanceNormalization", "LRN"),
        "use BatchNormalization",
    ),
    **dict.fromkeys(
        ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"), _QDQ
    ),
    "GlobalLpPool": "use GlobalAveragePool",
    "LpPool": "use AveragePool",
}


def substitute(op_type: str) -> str:
    """A hint for an unsupported operator, or nothing."""
    return _SUBSTITUTES.get(op_type, "")
