"""Checks the rules that every `Graph` keeps. Run after each pass: a fault shows where it arose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.ir import FLOAT32, INT8, INT16, INT32, INT64, Graph, Node, Tensor
from edgecnn.operators import operator


def _broken(rule: str, tensor: str, detail: str) -> InvariantError:
    return InvariantError(f"{rule}: tensor '{tensor}' {detail}")


def _check_names(graph: Graph) -> None:
    """Every name that is used is in the table, under its own name."""
    used = [*graph.inputs, *graph.outputs, *graph.input_permutations, *graph.output_permutations]
    for node in graph.nodes:
        used += [*(name for name in node.inputs if name), *node.outputs]
    for name in used:
        if name not in graph.tensors:
            raise _broken("names exist", name, "is not in the table of tensors")
    for name, tensor in graph.tensors.items():
        if tensor.name != name:
            raise _broken("names exist", name, f"calls itself '{tensor.name}'")


def _check_order(graph: Graph) -> None:
    """One producer for each tensor, before the first node that reads it."""
    known = {name for name, tensor in graph.tensors.items() if tensor.data is not None}
    for name in graph.inputs:
        if name in known:
            raise _broken("one producer", name, "is an input twice, or a constant and an input")
        known.add(name)
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in known:
                raise _broken(
                    "topological order", name, f"is read by {node.op} '{node.output}' too early"
                )
        for name in node.outputs:
            if name in known:
                raise _broken("one producer", name, f"is computed again by {node.op}")
            known.add(name)
    for name in graph.outputs:
        if name not in known:
            raise _broken("topological order", name, "is an output that nothing computes")


def _check_shapes(graph: Graph) -> None:
    """Shapes are those that the operators infer."""
    for node in graph.nodes:
        shapes = [graph.tensors[name].shape if name else () for name in node.inputs]
        meaning = operator(node.op)
        if not isinstance(node.attributes, meaning.attributes):
            raise _broken("attributes", node.output, f"is of {node.op} with foreign attributes")
        try:
            inferred = meaning.infer_shapes(node.attributes, shapes)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise _broken(
                "shapes", node.output, f"cannot come of {node.op} on {shapes} ({error})"
            ) from error
        for name, shape in zip(node.outputs, inferred, strict=True):
            if graph.tensors[name].shape != shape:
                found = graph.tensors[name].shape
                raise _broken("shapes", name, f"has {found} where {node.op} gives {shape}")


def _check_constants(graph: Graph) -> None:
    """The data of a constant has the shape and the type that the tensor declares."""
    for name, tensor in graph.tensors.items():
        if tensor.data is None:
            continue
        if tensor.data.shape != tensor.shape:
            raise _broken("constants", name, f"has data of shape {tensor.data.shape}")
        if tensor.data.dtype != np.dtype(tensor.dtype):
            raise _broken("constants", name, f"has data of type {tensor.data.dtype}")


def _check_float(graph: Graph) -> None:
    """Nothing in a float graph is quantized."""
    for name, tensor in graph.tensors.items():
        if tensor.dtype != FLOAT32 or tensor.quant is not None:
            raise _broken("float graph", name, f"is {tensor.dtype} with {tensor.quant}")


def _is_codes(tensor: Tensor, dtype: str) -> bool:
    """Whether a tensor has integers of a type with one scale; int16 has no zero point."""
    quant = tensor.quant
    if tensor.dtype != dtype or quant is None or quant.is_per_channel:
        return False
    return dtype == INT8 or quant.zero_point == (0,)


def _check_int8_operands(graph: Graph, node: Node) -> None:
    """Weights are int8 with scales, biases int32, and other constants like activations."""
    op = operator(node.op)
    weighted = op.weights_axis is not None
    is_wide = graph.is_wide(node)
    biases = (INT32, INT64) if is_wide else (INT32,)
    for position, name in enumerate(node.inputs):
        if not name or graph.is_activation(name):
            continue
        tensor = graph.tensors[name]
        if weighted and position in op.weight_biases.values():
            if tensor.dtype not in biases:
                raise _broken("int8 graph", name, f"is a bias of type {tensor.dtype}, not int32")
        elif weighted and position in op.weight_biases:
            if tensor.dtype not in (INT8, INT16) or tensor.quant is None:
                raise _broken("int8 graph", name, f"holds weights of {tensor.dtype}, not int8")
        elif not _is_codes(tensor, INT16 if is_wide else INT8):
            raise _broken("int8 graph", name, f"is a constant of {tensor.dtype}, {tensor.quant}")


def _check_width(graph: Graph, node: Node) -> None:
    """Only operators with a form for it compute in int16; only requantize changes the type."""
    if not graph.is_wide(node):
        return
    if not operator(node.op).has_wide_form:
        raise _broken("int16", node.output, f"is of {node.op}, which has no form in 16 bits")
    names = (*graph.activation_inputs(node), *node.outputs)
    if node.op != "requantize" and any(graph.tensors[name].dtype != INT16 for name in names):
        raise _broken("int16", node.output, f"is of {node.op} on int8 and int16")


def _check_int8(graph: Graph) -> None:
    """Activations are int8 with one scale each, or the plain int32 that their operator gives.

    Inside of the graph they may be int16, too.
    """
    producers = graph.producers()
    for name in graph.activations():
        found = graph.tensors[name]
        is_index = name in producers and operator(producers[name].op).output_dtype == INT32
        is_inside = name in producers and name not in graph.outputs
        if is_index:
            right = found.dtype == INT32 and found.quant is None
        else:
            right = _is_codes(found, INT8) or (is_inside and _is_codes(found, INT16))
        if not right:
            raise _broken("int8 graph", name, f"is {found.dtype} with {found.quant}")
    for node in graph.nodes:
        _check_int8_operands(graph, node)
        _check_width(graph, node)


def _check_ends(graph: Graph) -> None:
    """Outputs are computed, and permutations fit the ends that they belong to."""
    for name in graph.outputs:
        if not graph.is_activation(name):
            raise _broken("outputs", name, "is a constant")
    ends = ((graph.input_permutations, graph.inputs), (graph.output_permutations, graph.outputs))
    for permutations, names in ends:
        for name, permutation in permutations.items():
            if name not in names:
                raise _broken("permutations", name, "has one but is no input or output")
            rank = len(graph.tensors[name].shape)
            if sorted(permutation) != list(range(rank)):
                raise _broken("permutations", name, f"of rank {rank} has {permutation}")


_RULES: tuple[Callable[[Graph], None], ...] = (
    _check_names,
    _check_order,
    _check_constants,
    _check_shapes,
    _check_ends,
)


def check(graph: Graph) -> None:
    """Raise `InvariantError`, naming the rule and the tensor, unless the graph keeps all rules."""
    for rule in _RULES:
        rule(graph)
    (_check_int8 if graph.is_quantized else _check_float)(graph)
