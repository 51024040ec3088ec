"""Computes ONNX operators on constants, with ONNX's own reference evaluator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from edgecnn.frontends.builder import Unsupported
from edgecnn.ir import Array

#: Values that a constant may have; more is no network for a microcontroller.
MAX_VALUES = 1 << 27

#: The evaluator knows these from that opset on; before, they meant the same on fewer types.
_EVALUATED_FROM = {"QuantizeLinear": 21}

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
     "Multinomial"}
)  # fmt: skip


def fold(node: Any, opset: int, constants: Mapping[str, Array]) -> list[Array]:
    """The outputs of a node whose inputs are all constants.

    Raises `Unsupported` for what is random, too large, or not computable.
    """
    if node.op_type in _RANDOM:
        raise Unsupported("it is random", "remove it for inference")
    given = {name: constants[name] for name in dict.fromkeys(node.input) if name}
    model = _single(node, max(opset, _EVALUATED_FROM.get(node.op_type, opset)), given)
    _refuse_large(model, given)
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.output if name]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(model).run(names, given)
    except Exception as error:  # the evaluator raises whatever wrong operands lead to
        reason = (str(error).splitlines() or [""])[0]
        raise Unsupported(f"it cannot be computed on its constants ({reason})") from error
    if not all(isinstance(result, np.ndarray | np.generic) for result in results):
        raise Unsupported("its result is no tensor")
    by_name = dict(zip(names, map(np.asarray, results), strict=True))
    return [by_name.get(name, np.zeros(0, np.float32)) for name in node.output]


def _single(node: Any, opset: int, given: Mapping[str, Array]) -> Any:
    """A model of one node."""
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(data.dtype), list(data.shape)
        )
        for name, data in given.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "constants", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def _refuse_large(model: Any, given: Mapping[str, Array]) -> None:
    """Ask for the size of the result before it is computed: shapes can be read off small inputs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    small = {name: data for name, data in given.items() if data.size <= 64}
    probe.graph.initializer.extend(numpy_helper.from_array(d, n) for n, d in small.items())
    try:
        inferred = shape_inference.infer_shapes(probe, data_prop=True)
    except Exception:  # nothing is known; the evaluator will say what is wrong
        return
    for output in inferred.graph.output:
        size = 1
        for dim in output.type.tensor_type.shape.dim:
            size *= dim.dim_value if dim.HasField("dim_value") else 1
        if size > MAX_VALUES:
            raise Unsupported(f"its constant result has {size} values")
