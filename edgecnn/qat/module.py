"""The module that is trained, and its way to an int8 graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecnn import loading
from edgecnn.errors import UserError
from edgecnn.frontends.torch_export import capture, functional
from edgecnn.ir import Graph, Shape
from edgecnn.qat import layers, operators
from edgecnn.qat.executor import Executor, Parameters, Training, Values
from edgecnn.qat.plan import Plan, make_plan
from edgecnn.qat.provenance import Constants, Imported, trace
from edgecnn.qat.ranges import Ranges, mean_of_processes
from edgecnn.quantization.quantize import quantize_with_ranges
from edgecnn.simulator import runs_in_batches
from edgecnn.support import require_supported


@dataclass(frozen=True, eq=False)
class _Traced:
    """A module for inputs of some shapes; ``owners`` are its batch normalizations by output."""

    shapes: tuple[Shape, ...]
    program: ExportedProgram
    imported: Imported
    plan: Plan
    owners: Mapping[str, str]


def _trace(module: nn.Module, examples: tuple[Tensor, ...]) -> _Traced:
    exported = loading.load_module(module, examples)
    require_supported(exported)
    program = functional(capture(module, examples))
    imported = trace(program, module)
    operators.require_known(imported.graph.nodes)
    if not runs_in_batches(imported.graph):
        raise UserError(
            "quantization-aware training needs a network that treats the samples of a batch alike, "
            "with the batch in the first dimension of every tensor"
        )
    plan = make_plan(imported, exported)
    shapes = tuple(tuple(example.shape[1:]) for example in examples)
    return _Traced(shapes, program, imported, plan, _owners(imported, module))


def _owners(imported: Imported, module: nn.Module) -> dict[str, str]:
    """The path of the module that each batch normalization of the graph comes from."""
    owners = {}
    for node in imported.graph.nodes:
        layout = imported.layouts.get(node.inputs[3]) if node.op == "batch_norm" else None
        target = None if layout is None else imported.targets.get(layout.sources[0])
        if target is None:
            continue
        path, _, name = target.rpartition(".")
        if name == "running_mean" and isinstance(module.get_submodule(path), layers.BatchNorm):
            owners[node.output] = path
    return owners


class QatModule(nn.Module):
    """A module whose forward pass rounds as the int8 network will; see `edgecnn.prepare_qat`.

    ``module`` is the module itself, with its own parameters. ``ranges`` holds those of the
    activations. Takes and gives what the module does; the first dimension is the batch.
    """

    steps: Tensor

    def __init__(
        self, module: nn.Module, range_batches: int, freeze_batch_norm_after: int | None
    ) -> None:
        super().__init__()
        self.module = module
        self.ranges = Ranges(range_batches)
        self.freeze_batch_norm_after = freeze_batch_norm_after
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._traced: _Traced | None = None
        self.register_load_state_dict_post_hook(_forget)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_traced": None}

    @torch.compiler.disable
    def forward(self, *inputs: Tensor) -> Any:
        """Compute a batch. In train mode, the first batches also give the ranges."""
        traced = self.traced(inputs)
        # Bytes of float32 are what is rounded: autocast would change them.
        with torch.autocast(self.steps.device.type, enabled=False):
            values = self._run(traced, inputs)
        graph = traced.plan.graph
        outputs = [self._output(graph, name, values[name]) for name in graph.outputs]
        spec = traced.program.call_spec.out_spec
        return outputs[0] if spec is None else pytree.tree_unflatten(outputs, spec)

    def traced(self, inputs: Sequence[Any] | None = None) -> _Traced:
        """The trace for some inputs, which are the first or have the shapes of the first."""
        if inputs is None:
            if self._traced is None:
                raise UserError(
                    "the prepared network does not know its input: give prepare_qat an example, "
                    "or let a batch go through it"
                )
            return self._traced
        if not all(isinstance(x, Tensor) and x.dim() >= 2 for x in inputs):
            raise UserError("a prepared network takes tensors with the batch in dimension 0")
        if self._traced is None:
            examples = tuple(x.detach()[:1] for x in inputs)
            self._traced = _trace(self.module, examples)
        shapes = tuple(tuple(x.shape[1:]) for x in inputs)
        if shapes != self._traced.shapes:
            raise UserError(
                f"the network was prepared for inputs of {self._traced.shapes}, not of {shapes} "
                "(without the batch)"
            )
        return self._traced

    def tensors(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The reals that each int8 tensor of a batch stands for, by its name in the exported graph.

        Shapes are (samples, …) in the graph's layout, NHWC. Inner moves that no tensor of the
        trained graph corresponds to are left out.
        """
        traced = self.traced(inputs)
        values = self._run(traced, inputs)
        return {name: values[name] for name in traced.plan.row_of}

    # --- one batch --------------------------------------------------------------------------

    def _run(self, traced: _Traced, inputs: Sequence[Tensor]) -> Values:
        plan, parameters = traced.plan, self.read(traced)
        feeds = {
            name: self._feed(plan.graph, name, x)
            for name, x in zip(plan.graph.inputs, inputs, strict=True)
        }
        training = self._training(traced)
        if self.training and self.ranges.is_looking:
            with torch.no_grad():
                first = Training(training.norms, training.drops)
                self.ranges.look(plan.rows, Executor(plan, parameters, None, first).run(feeds))
        scales = self.ranges.scales(plan.rows, parameters.constants)
        values = Executor(plan, parameters, scales, training).run(feeds)
        if self.training:
            self._keep_statistics(traced, training)
            self.steps += 1
        return values

    def read(self, traced: _Traced) -> Parameters:
        """The constants of the trace from the parameters of the moment."""
        imported = traced.imported
        origin = Constants(imported, self.module)
        constants: Values = {
            name: torch.from_numpy(tensor.data).to(self.steps.device)
            for name, tensor in imported.graph.tensors.items()
            if tensor.data is not None and name not in imported.layouts
        }
        constants.update({k: origin.laid_out(layout) for k, layout in imported.layouts.items()})
        slopes = {k: origin.laid_out(layout) for k, layout in imported.slopes.items()}
        return Parameters(constants, slopes)

    def _training(self, traced: _Traced) -> Training:
        if not self.training:
            return Training()
        limit = self.freeze_batch_norm_after
        owners = {} if limit is not None and int(self.steps) >= limit else traced.owners
        parts = {name: self.module.get_submodule(path) for name, path in owners.items()}
        norms: Any = {name: part for name, part in parts.items() if part.training}
        return Training(norms, drops=True)

    @torch.no_grad()
    def _keep_statistics(self, traced: _Traced, training: Training) -> None:
        """Write the running statistics of this batch back, the mean of all processes'."""
        layouts, targets = traced.imported.layouts, traced.imported.targets
        # Copies, since the gradient of the normalization still needs the originals.
        running = {name: value.clone() for name, value in training.running.items()}
        mean_of_processes(list(running.values()))
        for name, value in running.items():
            layout = layouts[name]
            buffer = self.module.get_buffer(targets[layout.sources[0]])
            places = torch.from_numpy(layout.index).to(buffer.device)
            buffer.view(-1)[places] = value.reshape(-1).to(buffer.dtype)
        for part in dict.fromkeys(training.norms.values()):
            if part.num_batches_tracked is not None:
                part.num_batches_tracked += 1

    @staticmethod
    def _feed(graph: Graph, name: str, x: Tensor) -> Tensor:
        order = graph.input_permutations.get(name)
        shape = graph.tensors[name].shape
        moved = x.float() if order is None else x.float().permute(order)
        return moved.reshape(x.shape[0], *shape[1:])

    @staticmethod
    def _output(graph: Graph, name: str, y: Tensor) -> Tensor:
        order = graph.output_permutations.get(name)
        moved = y if order is None else y.permute(order)
        is_index = graph.producers()[name].op == "argmax"
        return moved.long() if is_index else moved


def _forget(module: QatModule, _: Any) -> None:
    """Trace anew after a load: what is not trained may have changed too."""
    module._traced = None


def prepare(
    module: nn.Module,
    example: Any,
    *,
    range_batches: int,
    freeze_batch_norm_after: int | None,
) -> QatModule:
    """See `edgecnn.prepare_qat`."""
    if not isinstance(module, nn.Module):
        raise UserError(f"prepare_qat takes an nn.Module, not {type(module).__name__}")
    if range_batches < 1:
        raise UserError(f"range_batches is {range_batches}; it must be at least 1")
    prepared = QatModule(module, range_batches, freeze_batch_norm_after)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    prepared.ranges.to(device)
    prepared.steps = prepared.steps.to(device)
    if example is not None:
        prepared.traced((example,) if isinstance(example, Tensor) else tuple(example))
    return prepared.train(module.training)


def convert(module: nn.Module, name: str = "") -> Graph:
    """See `edgecnn.convert`."""
    inner: Any = module
    while not isinstance(inner, QatModule):
        inner = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
        if not isinstance(inner, nn.Module):
            found = type(module).__name__
            raise UserError(f"convert takes what prepare_qat gave, not {found}")
    prepared: QatModule = inner
    traced = prepared.traced()
    device = prepared.steps.device
    examples = tuple(torch.zeros(1, *shape, device=device) for shape in traced.shapes)
    graph = loading.load_module(prepared.module, examples, name)
    require_supported(graph)
    with torch.no_grad():
        constants = prepared.read(traced).constants
        spans = prepared.ranges.ends(traced.plan.rows, constants).tolist()
    ranges = {
        name: (spans[row][0], spans[row][1]) for name, row in traced.plan.exported_rows.items()
    }
    int8 = quantize_with_ranges(graph, ranges)
    require_supported(int8)
    return int8
