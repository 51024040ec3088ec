"""Why some TFLite operators and types cannot be exported, and what to do instead."""

from __future__ import annotations

from edgecnn.ir import FLOAT32, INT8, INT16, INT32, QuantParams

_STATE = (
    "it keeps state from one run to the next; here every run starts anew",
    "convert the model without streaming, over a whole window",
)
_CONTROL_FLOW = ("control flow is not supported", "")
_POSTPROCESSING = "let the network end before it and compute it apart"
_FEATURES = ("it computes audio features, not a layer", "compute them apart, from the audio")

_REASONS = {
    **dict.fromkeys(("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"), _STATE),
    **dict.fromkeys(("IF", "WHILE", "CALL"), _CONTROL_FLOW),
    "DEQUANTIZE": (
        "the network goes on in float after it; only float or int8 throughout is supported",
        "quantize the whole model to int8",
    ),
    "GATHER": (
        "it looks values up by indices, as an embedding does; only tables of 256 int8 values are "
        "supported",
        "let the network start behind the embedding",
    ),
    "CAST": (
        "it changes the type of numbers; only float or int8 throughout is supported",
        "let the network start behind it, or end before it",
    ),
    **dict.fromkeys(("RFFT2D", "COMPLEX_ABS"), _FEATURES),
    "FAKE_QUANT": (
        "it belongs to quantization-aware training",
        "convert the trained model to int8",
    ),
    "CUSTOM ethos-u": (
        "it is a command stream for Arm's Ethos-U, which no other core can run",
        "give the model from before Vela",
    ),
    "CUSTOM edgetpu-custom-op": (
        "it is compiled for the Coral Edge TPU, which no other core can run",
        "give the model from before the Edge TPU compiler",
    ),
    "CUSTOM TFLite_Detection_PostProcess": (
        "TensorFlow Lite Micro computes it in float",
        _POSTPROCESSING,
    ),
    "NON_MAX_SUPPRESSION_V4": ("boxes are selected in float", _POSTPROCESSING),
    "NON_MAX_SUPPRESSION_V5": ("boxes are selected in float", _POSTPROCESSING),
}
_CUSTOM_KINDS = (
    ("CUSTOM XC_", ("it is compiled for XMOS cores", "give the model from before xmos-ai-tools")),
    ("CUSTOM Signal", _FEATURES),
    (
        "CUSTOM Flex",
        ("it is an operator of TensorFlow itself", "convert with TFLITE_BUILTINS_INT8 only"),
    ),
    ("CUSTOM ", ("custom operators are not supported", "")),
)


def operator_reason(name: str) -> tuple[str, str]:
    """The reason why an operator without an importer is refused, and a substitute or ""."""
    if name in _REASONS:
        return _REASONS[name]
    for prefix, reason in _CUSTOM_KINDS:
        if name.startswith(prefix):
            return reason
    return "this operator is not supported", ""


def output_problem(dtype: str, quant: QuantParams | None) -> tuple[str, str] | None:
    """Why an output of some type cannot be computed, and a substitute; None where it can."""
    if dtype not in (FLOAT32, INT8, INT16, INT32):
        return type_reason(dtype)
    if dtype in (INT8, INT16) and quant is None:
        return f"its {dtype} output has no scale", ""
    if dtype == INT16 and quant is not None and any(quant.zero_point):
        return "its int16 output has a zero point other than 0", ""
    return None


def type_reason(dtype: str) -> tuple[str, str]:
    """The reason why an operator that computes some type is refused, and a substitute."""
    if dtype == "uint8":
        return (
            "it computes uint8, an older format that TensorFlow Lite Micro no longer computes; "
            "only int8 and float32 are supported",
            "convert the float model to int8",
        )
    if dtype == "int16":
        return (
            "it computes int16, for which it has no form here",
            "quantize its activations to int8",
        )
    if dtype == "int64":
        return (
            "it computes int64; only int8 and float32, and indices in int32, are supported",
            "convert with indices of type int32, or let the network end before it",
        )
    return (
        f"it computes {dtype}; only int8 and float32 are supported",
        "quantize the model to int8",
    )
