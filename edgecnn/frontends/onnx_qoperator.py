"""Rewrites ONNX's QOperator format (QLinearConv, QLinearAdd, …) into QDQ, which means the same.

Each such operator becomes DequantizeLinear of its inputs, the operator on floats, and
QuantizeLinear of its result, with the scales that it names. Sources: ONNX's operator reference,
and ONNX Runtime's of the contributed operators for those in the domain ``com.microsoft``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecnn.ir import Array

#: The domain of ONNX Runtime's contributed operators.
CONTRIBUTED = "com.microsoft"
_DOMAINS = ("", "ai.onnx", CONTRIBUTED)
#: Softmax runs over one axis from this opset on, over all that follow it before.
_SOFTMAX_OF_ONE_AXIS = 13

_UNARY = {
    f"QLinear{name}": name
    for name in ("Sigmoid", "LeakyRelu", "Softmax", "AveragePool", "GlobalAveragePool")
} | {"QLinearReduceMean": "ReduceMean"}
_BINARY = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
#: Contributed operators that are rewritten, unless they work on NHWC.
REWRITTEN = frozenset(
    {*_UNARY, *_BINARY, "QGemm", "QLinearConcat", "QuantizeLinear", "DequantizeLinear"}
)


def to_qdq(model: Any) -> Any:
    """The model with what is known of the QOperator format rewritten; other nodes as they are."""
    rewriter = _Rewriter(model)
    if not any(rewriter.rewrite_of(node) for node in model.graph.node):
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    del rewritten.graph.node[:]
    for node in model.graph.node:
        rewrite = rewriter.rewrite_of(node)
        if rewrite is None:
            rewriter.nodes.append(node)
        else:
            rewrite(node)
    rewritten.graph.node.extend(rewriter.nodes)
    rewritten.graph.initializer.extend(rewriter.added)
    return rewritten


class _Rewriter:
    """Collects nodes and the constants that they need."""

    def __init__(self, model: Any) -> None:
        self.nodes: list[Any] = []
        self.added: list[Any] = []
        self._opset = max((o.version for o in model.opset_import if not o.domain), default=1)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t
        self._taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        self._taken.update(self._constants)

    def rewrite_of(self, node: Any) -> Callable[[Any], None] | None:
        """The method that rewrites a node, if it can be."""
        if node.domain not in _DOMAINS or _attributes(node).get("channels_last", 0):
            return None
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            return self._to_own_domain if node.domain == CONTRIBUTED else None
        rows: dict[str, Callable[[Any], None]] = {
            "QLinearConv": self._conv,
            "QLinearMatMul": self._matmul,
            "QGemm": self._gemm,
            "QLinearConcat": self._concat,
            **dict.fromkeys(_UNARY, self._unary),
            **dict.fromkeys(_BINARY, self._binary),
        }
        if node.op_type == "QLinearSoftmax":
            since = _attributes(node).get("opset", self._opset)
            if (since >= _SOFTMAX_OF_ONE_AXIS) != (self._opset >= _SOFTMAX_OF_ONE_AXIS):
                return None
        return rows.get(node.op_type)

    # --- pieces -------------------------------------------------------------------------------

    def _fresh(self, base: str) -> str:
        name, number = base, 1
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name

    def _array(self, name: str) -> Array | None:
        tensor = self._constants.get(name)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))

    def _real(self, codes: str, scale: str, zero_point: str, axis: int | None = None) -> str:
        """DequantizeLinear; ``axis`` is that of several scales."""
        name = self._fresh(f"{codes}_real")
        inputs = [codes, scale, zero_point] if zero_point else [codes, scale]
        array = self._array(scale)
        several = array is not None and array.size > 1
        attributes = {"axis": axis} if several and axis is not None else {}
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], **attributes))
        return name

    def _bias(self, bias: str, x_scale: str, weight_scale: str) -> list[str]:
        """The reals of an int32 bias, in steps of the product of two scales; none without one."""
        scales = self._array(x_scale), self._array(weight_scale)
        if not bias:
            return []
        if scales[0] is None or scales[1] is None:
            return [bias]  # the importer of DequantizeLinear says that scales must be constant
        steps = (scales[0].astype(np.float64) * scales[1]).astype(np.float32).reshape(-1)
        name = self._fresh(f"{bias}_scale")
        self.added.append(numpy_helper.from_array(steps if steps.size > 1 else steps[0], name))
        self._constants[name] = self.added[-1]
        return [self._real(bias, name, "", 0)]

    def _quantized(
        self, node: Any, op: str, inputs: Sequence[str], scale: str, zero_point: str
    ) -> None:
        """The operator on reals, and QuantizeLinear of its result."""
        ignored = ("channels_last", "opset")
        attributes = {k: v for k, v in _attributes(node).items() if k not in ignored}
        result = node.output[0] if not scale else self._fresh(f"{node.output[0]}_real")
        self.nodes.append(helper.make_node(op, list(inputs), [result], **attributes))
        if scale:
            given = [result, scale, zero_point] if zero_point else [result, scale]
            self.nodes.append(helper.make_node("QuantizeLinear", given, [node.output[0]]))

    # --- operators ----------------------------------------------------------------------------

    def _to_own_domain(self, node: Any) -> None:
        own = onnx.NodeProto()
        own.CopyFrom(node)
        own.domain = ""
        self.nodes.append(own)

    def _unary(self, node: Any) -> None:
        x, x_scale, x_zero, y_scale, y_zero = _padded(node, 5)
        given = [self._real(x, x_scale, x_zero)]
        self._quantized(node, _UNARY[node.op_type], given, y_scale, y_zero)

    def _binary(self, node: Any) -> None:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = _padded(node, 8)
        given = [self._real(a, a_scale, a_zero), self._real(b, b_scale, b_zero)]
        self._quantized(node, _BINARY[node.op_type], given, y_scale, y_zero)

    def _concat(self, node: Any) -> None:
        y_scale, y_zero, *rest = node.input
        given = [self._real(*rest[i : i + 3]) for i in range(0, len(rest), 3)]
        self._quantized(node, "Concat", given, y_scale, y_zero)

    def _conv(self, node: Any) -> None:
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias = _padded(node, 9)
        given = [self._real(x, x_scale, x_zero), self._real(w, w_scale, w_zero, 0)]
        given += self._bias(bias, x_scale, w_scale)
        self._quantized(node, "Conv", given, y_scale, y_zero)

    def _matmul(self, node: Any) -> None:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = _padded(node, 8)
        given = [self._real(a, a_scale, a_zero), self._real(b, b_scale, b_zero, -1)]
        self._quantized(node, "MatMul", given, y_scale, y_zero)

    def _gemm(self, node: Any) -> None:
        a, a_scale, a_zero, b, b_scale, b_zero, bias, y_scale, y_zero = _padded(node, 9)
        axis = 0 if _attributes(node).get("transB", 0) else 1
        given = [self._real(a, a_scale, a_zero), self._real(b, b_scale, b_zero, axis)]
        given += self._bias(bias, a_scale, b_scale)
        self._quantized(node, "Gemm", given, y_scale, y_zero)


def _attributes(node: Any) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _padded(node: Any, count: int) -> list[str]:
    """The names of a node's inputs; absent ones are empty."""
    return [*node.input, *([""] * (count - len(node.input)))]
