"""Walks the fx graph of an ``ExportedProgram`` and builds a graph from it.

Operators on constants only are computed by torch itself, right away; the others go to their
importers. Rank-4 inputs and outputs become NHWC here.
"""

from __future__ import annotations

import operator as python_operator
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind

from edgecnn.errors import InvariantError, ModelFormatError
from edgecnn.frontends.aten_hints import substitute
from edgecnn.frontends.builder import (
    NCHW_TO_NHWC,
    NHWC_TO_NCHW,
    GraphBuilder,
    Unsupported,
    Value,
)
from edgecnn.frontends.spelling import importers
from edgecnn.ir import Shape, Tensor

if TYPE_CHECKING:
    from torch.export import ExportedProgram

#: Checks that torch.export writes into the graph; the shapes here are known, so they hold.
_IGNORED = (
    "_assert_tensor_metadata", "_assert_scalar", "_assert_async", "_guards", "_guards_fn",
    "sym_constrain_range", "sym_constrain_range_for_size",
)  # fmt: skip

_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

_PARAMETERS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


class _Failed:
    """Stands for what is no float tensor in the result of an unsupported operator."""


class Walker:
    """Imports one program into ``builder``; ``entered`` names the constants as they came."""

    def __init__(self, program: ExportedProgram, name: str) -> None:
        self.program = program
        self.builder = GraphBuilder(name)
        self.entered: set[str] = set()
        self._results: dict[fx.Node, Any] = {}
        self._names: dict[int, str] = {}
        self._values: dict[int, Value] = {}
        self._importers = importers().aten

    def run(self) -> None:
        """Import everything; problems are noted in the builder."""
        self._refuse_state()
        specs = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._results[node] = self._placeholder(node, specs[node.name])
            elif node.op == "output":
                self._outputs(node)
            elif node.op == "call_function":
                self._results[node] = self._call(node)
            else:
                self._problem(node, f"'{node.op}' nodes are not supported")

    def _refuse_state(self) -> None:
        for spec in self.program.graph_signature.output_specs:
            if spec.kind is OutputKind.BUFFER_MUTATION:
                raise ModelFormatError(
                    f"the network changes its buffer '{spec.target}' at each call; call "
                    "model.eval() before exporting it, and keep no state between calls"
                )

    # --- inputs and constants -----------------------------------------------------------------

    def _placeholder(self, node: fx.Node, spec: Any) -> Any:
        if spec.kind in _PARAMETERS:
            return self._parameter(spec.target)
        if spec.kind is not InputKind.USER_INPUT:
            self._problem(node, f"inputs of kind {spec.kind.name} are not supported")
            return _Failed()
        if isinstance(spec.arg, ConstantArgument):
            return spec.arg.value
        return self._user_input(node)

    def _parameter(self, target: str) -> torch.Tensor:
        table = self.program.state_dict if target in self.program.state_dict else None
        tensor = (self.program.constants if table is None else table)[target].detach()
        self._names[id(tensor)] = target
        return tensor

    def _user_input(self, node: fx.Node) -> Value:
        example = node.meta["val"]
        if not isinstance(example, torch.Tensor) or example.dtype not in _FLOATS:
            found = getattr(example, "dtype", type(example).__name__)
            raise ModelFormatError(f"input '{node.name}' is {found}; only float32 is supported")
        shape = self._input_shape(node.name, list(example.shape))
        if len(shape) not in (3, 4):
            return self.builder.add_input(node.name, shape)
        # Channels last: of sequences too. What reads them as they are undoes this at no cost.
        order = NCHW_TO_NHWC if len(shape) == 4 else (0, 2, 1)
        graph_shape = tuple(shape[axis] for axis in order)
        value = self.builder.add_input(node.name, graph_shape)
        self.builder.input_permutations[value] = order
        return self.builder.nchw(value) if len(shape) == 4 else self._channels_first(value)

    def _channels_first(self, value: Value) -> Value:
        return self.builder.transpose(value, (0, 2, 1), "_ncl")

    def _input_shape(self, name: str, dims: list[Any]) -> Shape:
        """The shape of an input with a batch of 1 in place of a dynamic one."""
        if dims and not isinstance(dims[0], int):
            dims[0] = 1
        if not all(isinstance(n, int) for n in dims):
            raise ModelFormatError(
                f"input '{name}' has the dynamic shape {[str(n) for n in dims]}; only the batch "
                "may be dynamic: export with fixed sizes"
            )
        if len(dims) < 2:
            raise ModelFormatError(f"input '{name}' of shape {dims} has no batch dimension")
        if dims[0] != 1:
            raise ModelFormatError(
                f"input '{name}' has a fixed batch of {dims[0]}; export with a batch of 1 or a "
                "dynamic one"
            )
        return tuple(dims)

    def _enter(self, tensor: torch.Tensor) -> Value:
        """Make a builder constant of a tensor, as float32."""
        key = id(tensor)
        if key not in self._values:
            name = self._names.get(key, "constant")
            if tensor.dtype not in _FLOATS:
                raise Unsupported(f"its constant input '{name}' is {tensor.dtype}")
            array = tensor.detach().cpu().to(torch.float32).contiguous().numpy()
            if not np.all(np.isfinite(array)):
                raise Unsupported(
                    f"its constant '{name}' holds values that are not finite float32 numbers"
                )
            self._values[key] = self.builder.constant(array.copy(), name)
            self.entered.add(self._values[key])
        return self._values[key]

    # --- operators ----------------------------------------------------------------------------

    def _problem(self, node: fx.Node, reason: str, advice: str = "") -> None:
        self.builder.problem(_operator_name(node), node.name, reason, advice)

    def _call(self, node: fx.Node) -> Any:
        name = _operator_name(node)
        if name.split(".")[0] in _IGNORED:
            return None
        args = [self._resolve(arg) for arg in node.args]
        kwargs = {key: self._resolve(arg) for key, arg in node.kwargs.items()}
        leaves = _leaves([args, kwargs])
        if any(isinstance(leaf, _Failed) for leaf in leaves):
            return _Failed()
        try:
            return self._apply(node, name, args, kwargs, leaves)
        except Unsupported as problem:
            self._problem(node, problem.reason, problem.substitute)
            return self._stand_in(node, node.meta.get("val"))

    def _stand_in(self, node: fx.Node, traced: Any) -> Any:
        """A value of the right shape for a failed result, so that later problems are found."""
        if isinstance(traced, (tuple, list)):
            return tuple(self._stand_in(node, item) for item in traced)
        if not isinstance(traced, torch.Tensor) or traced.dtype not in _FLOATS:
            return _Failed()
        shape = [n if isinstance(n, int) else 1 for n in traced.shape]
        return self.builder.add_tensor(Tensor(node.name, tuple(shape)))

    def _resolve(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, lambda n: self._results[n])

    def _apply(
        self, node: fx.Node, name: str, args: list[Any], kwargs: dict[str, Any], leaves: list[Any]
    ) -> Any:
        if node.target is python_operator.getitem:
            return self._item(node, args[0], args[1])
        if name in ("sym_size.int", "sym_size.default") and isinstance(args[0], Value):
            shape = self.builder.shape(args[0])
            return shape if name == "sym_size.default" else shape[args[1]]
        values = [arg for arg in node.all_input_nodes if isinstance(self._results[arg], Value)]
        if not values:
            return self._fold(node, args, kwargs)
        if name not in self._importers:
            raise Unsupported("this operator is not supported", substitute(name))
        self.builder.scope = re.sub(r"_(?=_\d+$|$)", "", node.name)  # relu__1 is relu_1
        args, kwargs = _positional(node.target, args, kwargs)
        args, kwargs = self._with_constants(args), self._with_constants(kwargs)
        result = self._importers[name](self.builder, *args, **kwargs)
        self._check_shape(node, result)
        return result

    def _item(self, node: fx.Node, source: Any, index: int) -> Any:
        """One of several results.

        Importers return the first alone, or a tuple, in which a function without arguments makes
        the result that it stands for once that is used.
        """
        if not isinstance(source, Value):
            item = source[index]
            if not callable(item):
                return item
            return item() if node.users else _Failed()
        if index == 0:
            return source
        if node.users:
            raise Unsupported(
                f"result {index} of '{node.args[0]}' is not supported, only the first is"
            )
        return _Failed()

    def _fold(self, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Compute what depends on constants only; the result has the name of the constant."""
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags or not callable(node.target):
            raise Unsupported("it is random", "remove it for inference")
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            named = [self._names[id(a)] for a in _leaves([args, kwargs]) if id(a) in self._names]
            self._names[id(result)] = named[0] if named else node.name
        return result

    def _with_constants(self, argument: Any) -> Any:
        """Arguments with tensors entered as builder constants."""
        if isinstance(argument, torch.Tensor):
            return self._enter(argument)
        if isinstance(argument, dict):
            return {key: self._with_constants(item) for key, item in argument.items()}
        if isinstance(argument, (list, tuple)):
            return type(argument)(self._with_constants(item) for item in argument)
        return argument

    def _check_shape(self, node: fx.Node, result: Any) -> None:
        """Compare with the shape that torch traced, as far as it is fixed."""
        traced = node.meta.get("val")
        if isinstance(traced, (tuple, list)):
            traced = traced[0]
        if not isinstance(traced, torch.Tensor) or not isinstance(result, Value):
            return
        shape = self.builder.shape(result)
        same = len(shape) == traced.dim() and all(
            a == b for a, b in zip(shape, traced.shape, strict=True) if isinstance(b, int)
        )
        if not same:
            if shape == (1, *traced.shape):
                raise Unsupported("it removes the batch", "name the dimensions to remove")
            raise InvariantError(
                f"'{node.name}' was imported with shape {shape}; torch has {traced.shape}"
            )

    # --- outputs ------------------------------------------------------------------------------

    def _outputs(self, node: fx.Node) -> None:
        specs = self.program.graph_signature.output_specs
        results = [self._resolve(arg) for arg in node.args[0]]
        for spec, result in zip(specs, results, strict=True):
            if spec.kind is not OutputKind.USER_OUTPUT or isinstance(result, _Failed):
                continue
            if not isinstance(result, Value):
                raise ModelFormatError(
                    f"output '{spec.arg.name}' of the network does not depend on its input"
                )
            self._output(result)

    def _output(self, value: Value) -> None:
        if len(self.builder.shape(value)) == 4:
            value = self.builder.nhwc(value)
            self.builder.output_permutations[value] = NHWC_TO_NCHW
        self.builder.outputs.append(value)


def _operator_name(node: fx.Node) -> str:
    """``"conv2d.default"`` for an ATen operator, else what the target calls itself."""
    target: Any = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return str(name)


def _positional(
    target: Any, args: list[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position wherever the operator's schema has one for them."""
    args, kwargs = list(args), dict(kwargs)
    for argument in target._schema.arguments[len(args) :]:
        if argument.kwarg_only or not kwargs:
            break
        args.append(kwargs.pop(argument.name, argument.default_value))
    return args, kwargs


def _leaves(argument: Any) -> list[Any]:
    """Everything in nested arguments that is no container."""
    if isinstance(argument, dict):
        argument = list(argument.values())
    if isinstance(argument, (list, tuple)):
        return [leaf for item in argument for leaf in _leaves(item)]
    return [argument]
