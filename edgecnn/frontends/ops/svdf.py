"""SVDF: TFLite's SVDF, int8 only."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, tflite
from edgecnn.ir import INT8, INT16
from edgecnn.ops.svdf import SvdfAttributes

_STATE = 4


@tflite("SVDF")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import one step of SVDF; the state starts from zero at each run.

    The fused activation is left to the range of the int8 output, as every runtime leaves it.
    """
    if op.output.dtype != INT8:
        raise Unsupported(f"it computes {op.output.dtype}; only int8 is supported")
    if len(op.inputs) <= _STATE or op.inputs[_STATE] is None:
        raise Unsupported("it has no state")
    state, time = b.tensors[op.inputs[_STATE] or ""], b.tensors[op.inputs[2] or ""]
    if state.dtype not in (INT8, INT16) or state.dtype != time.dtype:
        raise Unsupported(
            f"its state is {state.dtype} and its time weights are {time.dtype}; both must be "
            "int16, or both int8"
        )
    if state.quant is None or state.quant.is_per_channel:
        raise Unsupported("its state has no scale")
    attributes = SvdfAttributes(op.options.rank, (state.scale, state.zero_point))
    return op.emit(b, "svdf", op.inputs[:_STATE], attributes)
