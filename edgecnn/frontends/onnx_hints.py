"""What to use instead of ONNX operators that have no counterpart."""

from __future__ import annotations

_QDQ = "quantize in the QDQ format (QuantizeLinear, DequantizeLinear)"
_STATIC = (
    "it computes scales at run time: export the float model, which edgecnn quantizes, or quantize "
    "statically"
)

_SUBSTITUTES = {
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "InstanceNormalization", "LRN"),
        "use BatchNormalization",
    ),
    **dict.fromkeys(("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"), _STATIC),
    **dict.fromkeys(("QLinearWhere", "QLinearReduceMean", "QLinearSoftmax"), _QDQ),
    "GlobalLpPool": "use GlobalAveragePool",
    "Upsample": "use Resize",
    "LpPool": "use AveragePool",
}


def substitute(op_type: str) -> str:
    """A hint for an unsupported operator, or nothing."""
    return _SUBSTITUTES.get(op_type, "")
