"""``manifest.json``: what an export holds, for people, build scripts, and `verify` later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors import ModelFormatError
from edgecnn.frontends import tflite
from edgecnn.ir import Graph
from edgecnn.loading import read_bytes
from edgecnn.macs import macs_of
from edgecnn.parity import Artifact
from firmware_export.c_writer import CNetwork, Provenance
from firmware_export.tflite_file import takes_floats
from firmware_export.weight_sizes import WeightSizes, total, weight_sizes

FILE = "manifest.json"
FORMAT = 1
#: What `open_export` and `files_of` read, and its type.
_KINDS = {
    "name": str,
    "tensors": list,
    "files": dict,
    "input_permutations": dict,
    "output_permutations": dict,
}


def describe(
    graph: Graph, name: str, network: CNetwork, provenance: Provenance, folder: Path
) -> dict[str, Any]:
    """The content of the manifest of an export whose other files lie in ``folder``.

    ``tensors`` are numbered as the C's ``…_ON_TENSOR`` hook numbers them; it never sees those
    that are not stored, since a layer computes what gives them on the way.
    """
    sizes = weight_sizes(graph, network)
    return {
        "format": FORMAT,
        "name": name,
        "edgecnn": provenance.version,
        "command": provenance.command,
        "model_sha256": provenance.source_sha256,
        "arena_bytes": network.plan.arena_bytes,
        "weight_bytes": network.weight_bytes,
        "weights": total(sizes).to_json(),
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "input_permutations": {k: list(v) for k, v in graph.input_permutations.items()},
        "output_permutations": {k: list(v) for k, v in graph.output_permutations.items()},
        "tensors": [
            {**_tensor(graph, tensor), "is_stored": tensor in network.stored}
            for tensor in graph.activations()
        ],
        "layers": [
            {**_layer(graph, index), "weights": sizes.get(index, WeightSizes()).to_json()}
            for index in range(len(graph.nodes))
        ],
        "files": {p.name: _file(p) for p in sorted(folder.iterdir()) if p.name != FILE},
    }


def _tensor(graph: Graph, name: str) -> dict[str, Any]:
    tensor = graph.tensors[name]
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": None if tensor.quant is None else tensor.scale,
        "zero_point": None if tensor.quant is None else tensor.zero_point,
    }


def _layer(graph: Graph, index: int) -> dict[str, Any]:
    node = graph.nodes[index]
    return {
        "index": index,
        "op": node.op,
        "output": node.output,
        "macs": macs_of(graph, node),
    }


def _file(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def read(directory: Path) -> dict[str, Any]:
    """Read the manifest of an exported folder; `ModelFormatError` where there is no sound one."""
    path = directory / FILE
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        raise ModelFormatError(f"folder {directory} holds no export (no {FILE})") from None
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ModelFormatError(f"{path} is no manifest of format {FORMAT}")
    for key, kind in _KINDS.items():
        if not isinstance(facts.get(key), kind):
            raise ModelFormatError(f"{path} is malformed at '{key}'")
    return facts


def files_of(directory: Path) -> set[str]:
    """Names of the files that an earlier export wrote there; empty where there is none."""
    try:
        names = {*read(directory)["files"], FILE}
    except ModelFormatError:
        return set()
    return {name for name in names if Path(name).name == name}


def open_export(directory: Path) -> Artifact:
    """Load an exported folder: its graph in the layout of the model it came from, its C."""
    facts = read(directory)
    name = facts["name"]
    for file in sorted(files_of(directory) | {f"{name}.tflite"}):
        if not (directory / file).is_file():
            raise ModelFormatError(f"the export in {directory} is incomplete: {file} is missing")
    path = directory / f"{name}.tflite"
    data = read_bytes(path)
    try:  # no passes: they could find more to move, and the C has the tensors as they were
        graph = tflite.load(data, name).replace(
            input_permutations=_permutations(facts["input_permutations"]),
            output_permutations=_permutations(facts["output_permutations"]),
        )
        traced = tuple(str(tensor["name"]) for tensor in facts["tensors"])
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ModelFormatError(f"{directory / FILE} is malformed ({error})") from error
    missing = [tensor for tensor in traced if tensor not in graph.tensors]
    if missing or not graph.is_quantized:
        raise ModelFormatError(f"{path} and {FILE} do not belong together")
    is_fed = facts.get("feed") == "rows"
    return Artifact(graph, data, name, directory, traced, takes_floats(data), is_fed)


def _permutations(facts: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(permutation) for name, permutation in facts.items()}
