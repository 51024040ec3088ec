"""Converts ONNX models of old opsets into one whose operators the importers know."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper, shape_inference, version_converter

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.onnx_foreign import refuse_foreign_operators

#: Before it, operators had another meaning (broadcasting, for one). Older files are converted.
MIN_OPSET = 7
_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")


def converted(model: Any, opset: int) -> Any:
    """A model of an old opset in `MIN_OPSET`, or `ModelFormatError`."""
    refuse_foreign_operators(model)
    try:
        prepared = _with_aligned_operands(_with_declared_weights(model))
        return version_converter.convert_version(prepared, MIN_OPSET)
    except Exception as error:  # the converter raises RuntimeError, and what else it comes by
        raise ModelFormatError(
            f"the model is of opset {opset}, which cannot be converted to {MIN_OPSET}: "
            f"{first_line(error)}; export it with a newer opset"
        ) from error


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _with_declared_weights(model: Any) -> Any:
    """A model whose constants are inputs too, as the converter expects."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    declared = {info.name for info in changed.graph.input}
    for tensor in changed.graph.initializer:
        if tensor.name not in declared:
            changed.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return changed


def _with_aligned_operands(model: Any) -> Any:
    """A model whose operands broadcast as newer opsets do it, from the last axis on.

    Old ones name the axis of the first operand that the second one starts at, and PRelu's slopes
    are by channel. The converter of onnx 1.23 gets the axes of the former wrong and leaves the
    latter as they are.
    """
    graph = shape_inference.infer_shapes(model).graph
    ranks = {
        info.name: len(info.type.tensor_type.shape.dim)
        for info in (*graph.input, *graph.value_info)
        if info.type.tensor_type.HasField("shape")
    }
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        missing = _missing_axes(node, ranks)
        if missing:
            name = f"{node.output[0]}_aligned"
            first = ranks[node.input[1]]
            axes = list(range(first, first + missing))
            unsqueeze = helper.make_node("Unsqueeze", [node.input[1]], [name], axes=axes)
            changed.graph.node.extend([unsqueeze, _newer(node, name)])
        else:
            changed.graph.node.append(_newer(node, *node.input[1:2]))
    return changed


def _missing_axes(node: Any, ranks: dict[str, int]) -> int:
    """How many axes of size 1 the second operand of a node lacks at its end."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), None)
    slopes = node.op_type == "PRelu"
    if not slopes and (node.op_type not in _BROADCASTING or axis is None):
        return 0
    if any(name not in ranks for name in node.input):
        raise ValueError(f"{node.op_type} at '{node.output[0]}' has an input of unknown shape")
    rank, other = (ranks[name] for name in node.input)
    if slopes:
        return max(rank - 2, 0) if other == 1 else 0
    assert axis is not None
    return max((axis if axis >= 0 else axis + rank) and rank - axis % rank - other, 0)


def _newer(node: Any, second: str = "") -> Any:
    """The node with another second operand; one that broadcasts does it by itself."""
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    if second:
        changed.input[1] = second
    if node.op_type in _BROADCASTING:
        kept = [a for a in node.attribute if a.name not in ("axis", "broadcast")]
        del changed.attribute[:]
        changed.attribute.extend(kept)
    return changed
