"""Reads ``.onnx`` files, float and QDQ, through the ``onnx`` package.

Importers of single operators are in ``edgecnn/frontends/ops``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import TensorProto, shape_inference

from edgecnn import verify
from edgecnn.errors import InvariantError, ModelFormatError
from edgecnn.frontends.builder import Unsupported
from edgecnn.frontends.naming import restore_constant_names
from edgecnn.frontends.onnx_foreign import refuse_foreign_operators
from edgecnn.frontends.onnx_inputs import InputShapes, by_name, complete, declared_dims
from edgecnn.frontends.onnx_old_opsets import MIN_OPSET, converted, first_line
from edgecnn.frontends.onnx_qoperator import to_qdq
from edgecnn.frontends.onnx_walker import CODES, FLOATS, Walker
from edgecnn.frontends.quantized_elsewhere import float_graph, has_marks, int8_graph
from edgecnn.ir import Graph, Shape, prune
from edgecnn.passes.editing import renamed

#: From this version of the format on, weights need not be declared as inputs.
_WEIGHTS_APART = 4
_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")


def load(data: bytes, name: str, input_shapes: InputShapes = None) -> Graph:
    """Read a network.

    ``data`` is the whole file. ``input_shapes`` completes dynamic inputs, by name or in their
    order; a dynamic batch becomes 1. Rank-4 inputs and outputs are NCHW for the user. Weights
    and inputs in float16 or double are computed in float32. A network with QuantizeLinear and
    DequantizeLinear becomes an int8 graph with the scales that it has. Raises
    `ModelFormatError`, `UserError` for a shape that is missing or wrong, or `UnsupportedError`
    with all operators that cannot be read.
    """
    model = parse(data)
    initialized = {tensor.name for tensor in model.graph.initializer}
    infos = [info for info in model.graph.input if info.name not in initialized]
    wanted = by_name([info.name for info in infos], input_shapes)
    for info in infos:
        _check_type(info)
    shapes = {
        info.name: complete(info.name, declared_dims(info), wanted.get(info.name)) for info in infos
    }
    return read(model, name, shapes, hashlib.sha256(data).hexdigest())


def read(model: Any, name: str, shapes: dict[str, Shape], sha256: str = "") -> Graph:
    """Read a parsed and checked network for inputs of given shapes."""
    walker = Walker(model.graph, opset_of(model), name, shapes)
    walker.inferred = _infer(model, shapes)
    try:
        walker.run()
    except (IndexError, AttributeError, TypeError, ValueError, KeyError, ArithmeticError) as error:
        raise ModelFormatError(
            f"the ONNX file is malformed ({type(error).__name__}: {first_line(error)})"
        ) from error
    except Unsupported as problem:
        raise ModelFormatError(f"the ONNX file cannot be read: {problem.reason}") from problem
    graph = prune(walker.builder.finish(sha256))
    _check_ends(graph)
    graph = _with_names_of_the_file(restore_constant_names(graph, walker.entered), walker.preferred)
    if has_marks(graph):
        return int8_graph(graph)
    graph = float_graph(graph)
    try:
        verify.check(graph)
    except InvariantError as error:  # types that contradict each other
        raise ModelFormatError(f"the ONNX file is malformed ({error})") from error
    return graph


def _with_names_of_the_file(graph: Graph, preferred: Mapping[str, str]) -> Graph:
    """Give tensors the names that the file has for the same thing, where these are free."""
    names = {
        old: new
        for old, new in preferred.items()
        if old in graph.tensors and old not in graph.inputs and new not in graph.tensors
    }
    distinct = len(set(names.values())) == len(names)
    return renamed(graph, names) if distinct else graph


# --- the file ---------------------------------------------------------------------------------


def parse(data: bytes) -> Any:
    """The ``ModelProto`` of a file, checked, functions inlined, QOperators rewritten as QDQ.

    Raises `ModelFormatError` for anything that is not one whole ONNX model.
    """
    if not data:
        raise ModelFormatError("the file is empty")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, whose home differs by version
        raise ModelFormatError("this is not an ONNX file, or it is truncated") from error
    if not model.ir_version or not model.graph.output:
        raise ModelFormatError("this is not an ONNX file (no network in it)")
    _refuse_outside_data(model)
    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ModelFormatError(
            f"the ONNX file is of opset {opset}; the installed onnx {onnx.__version__} knows up "
            f"to {newest}: export with an older opset, or upgrade onnx"
        )
    try:
        _check(model)
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
    except Exception as error:  # the checker raises ValidationError, the inliner what it likes
        refuse_foreign_operators(model)
        raise ModelFormatError(f"the ONNX file is malformed ({first_line(error)})") from error
    return to_qdq(model if opset >= MIN_OPSET else converted(model, opset))


def _check(model: Any) -> None:
    """ONNX's own checker, without its demand that every input and output declares a shape.

    Nor do weights have to be inputs, as only the first three versions of the format want.
    """
    version = model.ir_version
    model.ir_version = max(version, _WEIGHTS_APART)
    types = [info.type.tensor_type for info in (*model.graph.input, *model.graph.output)]
    bare = [kind for kind in types if kind.elem_type and not kind.HasField("shape")]
    for kind in bare:
        kind.shape.SetInParent()
    onnx.checker.check_model(model)
    for kind in bare:
        kind.ClearField("shape")
    model.ir_version = version


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators that a model uses."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        refuse_foreign_operators(model)
        raise ModelFormatError("the ONNX file names no version of ONNX's operators")
    return int(versions[0])


def _tensors(graph: Any) -> Iterator[Any]:
    """Every constant of a network, also of those nested in it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for nested in (attribute.g, *attribute.graphs):
                yield from _tensors(nested)


def _refuse_outside_data(model: Any) -> None:
    if model.graph.sparse_initializer:
        raise ModelFormatError("the model has sparse weights; store them densely")
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            places = [entry.value for entry in tensor.external_data if entry.key == "location"]
            where = f" ('{places[0]}')" if places else ""
            raise ModelFormatError(
                f"the weights '{tensor.name}' lie in another file{where}; store them in the model: "
                "onnx.save(onnx.load(path), path, save_as_external_data=False)"
            )


def _check_type(info: Any) -> None:
    kind = info.type.tensor_type.elem_type
    if not info.type.HasField("tensor_type") or kind not in (*FLOATS, *CODES):
        names = {number: name.lower() for name, number in TensorProto.DataType.items()}
        known = names.get(kind, f"of type {kind}") if kind else "no tensor"
        raise ModelFormatError(
            f"input '{info.name}' is {known}; float32 is supported, and int8 or uint8 that "
            "DequantizeLinear or Cast turns into floats"
        )


def _infer(model: Any, shapes: dict[str, Shape]) -> dict[str, tuple[int, Shape]]:
    """Type and shape of every value, as far as ONNX infers them from the shapes of the inputs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.value_info[:]
    for info in probe.graph.output:
        info.type.tensor_type.ClearField("shape")
    for info in probe.graph.input:
        if info.name in shapes:
            info.type.tensor_type.ClearField("shape")
            for n in shapes[info.name]:
                info.type.tensor_type.shape.dim.add().dim_value = n
    try:
        graph = shape_inference.infer_shapes(probe, data_prop=True).graph
    except Exception:  # it only completes messages; the importers see what is wrong
        return {}
    known = {}
    for info in (*graph.value_info, *graph.output):
        tensor = info.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            known[info.name] = (tensor.elem_type, tuple(int(dim.dim_value) for dim in dims))
    return known


def _check_ends(graph: Graph) -> None:
    if not graph.inputs or not graph.outputs:
        raise ModelFormatError("the network has no input or no output")
    if len(set(graph.outputs)) < len(graph.outputs):
        raise ModelFormatError("the network returns the same tensor twice; return it once")
