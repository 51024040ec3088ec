"""Lists the operators of an ONNX file that ONNX does not define, where ONNX refuses the file."""

from __future__ import annotations

from typing import Any

import onnx

from edgecnn.errors import Problem, UnsupportedError
from edgecnn.frontends.onnx_hints import substitute
from edgecnn.frontends.onnx_qoperator import CONTRIBUTED, REWRITTEN


def refuse_foreign_operators(model: Any) -> None:
    """Raise `UnsupportedError` with all operators that are not ONNX's, nor the model's own.

    Those of ONNX Runtime that are read all the same are left in peace.
    """
    versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
    own = {(function.domain, function.name) for function in model.functions}
    problems = []
    for node in model.graph.node:
        domain = _domain(node.domain)
        if (node.domain, node.op_type) in own:
            continue
        if domain == CONTRIBUTED and node.op_type in REWRITTEN and CONTRIBUTED in versions:
            continue
        reason = _reason(node.op_type, domain, versions.get(""))
        if reason:
            label = f"{domain}.{node.op_type}" if domain else str(node.op_type)
            output = next((name for name in node.output if name), node.name)
            problems.append(Problem(label, output, reason, substitute(node.op_type)))
    if problems:
        raise UnsupportedError(problems)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _reason(op_type: str | bytes, domain: str, opset: int | None) -> str:
    """Why an operator is none of ONNX's at an opset; nothing where it is one."""
    if domain or not isinstance(op_type, str) or not onnx.defs.has(op_type):
        return "this operator is not one of ONNX's own"
    if opset is None:
        return ""
    if onnx.defs.has(op_type, max_inclusive_version=opset):
        dropped = onnx.defs.get_schema(op_type, max_inclusive_version=opset).deprecated
        return f"ONNX has dropped this operator before the file's opset, {opset}" if dropped else ""
    return f"ONNX has this operator from a newer opset than the file's, {opset}, on"
