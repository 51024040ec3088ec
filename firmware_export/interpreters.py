"""Sessions of the stock interpreters: TFLite Micro's, and the two packages of TFLite's own.

They keep the state of recurrent operators from one run to the next; here every sample starts
from zero, as in the generated C.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from edgecnn.errors import InvariantError, ModelFormatError
from edgecnn.ir import Array
from edgecnn.parity import Artifact
from firmware_export.tflite_file import TfliteFile

_ARENA_LIMIT = 1 << 30


def missing_package(module: str, package: str) -> str | None:
    """Say which package to install where a module cannot be found."""
    if importlib.util.find_spec(module) is not None:
        return None
    return f"package {package} is not installed"


class TfliteSession:
    """tflite-runtime or ai-edge-litert with the reference kernels, showing every tensor."""

    def __init__(self, artifact: Artifact, module: Any) -> None:
        self._file = TfliteFile(artifact.tflite, artifact.graph, float_io=artifact.float_io)
        try:
            self._interpreter = module.Interpreter(
                model_content=self._file.showing_all_tensors(),
                experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
                num_threads=1,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelFormatError(f"{module.__name__} rejects the model: {error}") from error

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        samples = []
        for i in range(len(next(iter(feeds.values())))):
            if self._file.keeps_state:
                self._interpreter.reset_all_variables()
            for index, array in self._file.inputs(feeds, i):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            samples.append(
                {n: self._interpreter.get_tensor(t) for n, t in self._file.tensors.items()}
            )
        return self._file.collect(samples)


class TflmSession:
    """TensorFlow Lite Micro's interpreter, keeping every tensor."""

    def __init__(self, artifact: Artifact) -> None:
        self._file = TfliteFile(artifact.tflite, artifact.graph, float_io=artifact.float_io)
        self._interpreter = self._load(self._file.activation_bytes + (1 << 20))

    def _load(self, arena: int) -> Any:
        """Load with an arena, doubled until it is large enough."""
        from tflite_micro import runtime

        data = self._file.without_memory_plan()
        while True:
            try:
                return runtime.Interpreter.from_bytes(
                    data,
                    arena_size=arena,
                    intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
                )
            except RuntimeError as error:
                if arena >= _ARENA_LIMIT:
                    raise ModelFormatError(f"TFLite Micro rejects the model: {error}") from error
                arena *= 8

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        samples = []
        for i in range(len(next(iter(feeds.values())))):
            if self._file.keeps_state:
                self._interpreter.reset()
            for position, (_, array) in enumerate(self._file.inputs(feeds, i)):
                self._interpreter.set_input(array, position)
            if self._interpreter.invoke() != 0:
                raise InvariantError("TFLite Micro failed to run the model")
            samples.append({n: self._read(index) for n, index in self._file.tensors.items()})
        return self._file.collect(samples)

    def _read(self, index: int) -> Array:
        data: Array = self._interpreter.GetTensor(index, 0)["tensor_data"]
        return data.copy()
