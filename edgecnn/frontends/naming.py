"""Gives constants that an importer laid out anew the names that the source has for them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

from edgecnn.ir import Graph


def restore_constant_names(graph: Graph, entered: Collection[str]) -> Graph:
    """Rename ``conv1.weight_1`` to ``conv1.weight`` where the latter is gone.

    ``entered`` holds the names of constants as they were entered. An importer that transposes
    weights enters a second constant, whose name the builder numbers; once the first has been
    pruned, its name is free.
    """
    renamed: dict[str, str] = {}
    for name, tensor in graph.tensors.items():
        base = re.sub(r"_\d+$", "", name)
        free = base not in graph.tensors and base not in renamed.values()
        if tensor.data is not None and name not in entered and base in entered and free:
            renamed[name] = base
    tensors = {
        renamed.get(name, name): dataclasses.replace(tensor, name=renamed.get(name, name))
        for name, tensor in graph.tensors.items()
    }
    nodes = tuple(
        dataclasses.replace(node, inputs=tuple(renamed.get(n, n) for n in node.inputs))
        for node in graph.nodes
    )
    return graph.replace(nodes=nodes, tensors=tensors)
