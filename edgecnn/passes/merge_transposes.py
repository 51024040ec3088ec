"""Makes one transpose of those in a chain of transposes and reshapes, as in a channel shuffle.

Such a chain only moves values. Its dimensions are split into factors that no reshape of it cuts;
the whole is then a reshape to the factors, one transpose of them, and a reshape to the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from edgecnn.frontends.builder import NCHW_TO_NHWC, NHWC_TO_NCHW
from edgecnn.ir import Graph, Node, Shape, Tensor, prune
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.transpose import MAX_RANK, TransposeAttributes
from edgecnn.passes.editing import feeds_only, is_identity, permuted, same_quant, unique_name


class _Factors:
    """The factors of a shape: their order in memory at first, and that of each dimension now."""

    def __init__(self, shape: Shape) -> None:
        self.sizes = dict(enumerate(shape))
        self.first = list(self.sizes)
        self.now = [[factor] for factor in self.first]

    def transpose(self, permutation: Sequence[int]) -> None:
        self.now = [self.now[axis] for axis in permutation]

    def reshape(self, shape: Shape) -> bool:
        """Group the factors by another shape; False where one would be cut unevenly."""
        flat = [factor for group in self.now for factor in group if self.sizes[factor] > 1]
        groups: list[list[int]] = []
        for size in shape:
            group: list[int] = []
            while (left := size // math.prod(self.sizes[factor] for factor in group)) > 1:
                factor = flat.pop(0)
                if left % self.sizes[factor] != 0:
                    if self.sizes[factor] % left != 0:
                        return False
                    flat.insert(0, self._split(factor, left))
                group.append(factor)
            groups.append(group)
        self.now = groups
        return True

    def follow(self, graph: Graph, chain: Sequence[Node]) -> bool:
        """Do what a chain does; False where a reshape of it cuts a factor unevenly."""
        for node in chain:
            if isinstance(node.attributes, TransposeAttributes):
                self.transpose(node.attributes.permutation)
            elif not self.reshape(graph.tensors[node.output].shape):
                return False
        return True

    def _split(self, factor: int, outer: int) -> int:
        """Cut a factor in two; ``factor`` stays the outer one, and the inner one is returned."""
        inner = len(self.sizes)
        self.sizes[inner] = self.sizes[factor] // outer
        self.sizes[factor] = outer
        self.first.insert(self.first.index(factor) + 1, inner)
        return inner

    def runs(self) -> tuple[Shape, tuple[int, ...]]:
        """A shape with as few dimensions as will do, after one of 1, and the order they end in."""
        first = [factor for factor in self.first if self.sizes[factor] > 1]
        place = {factor: position for position, factor in enumerate(first)}
        last = [place[factor] for group in self.now for factor in group if factor in place]
        starts = {0, *last[:1], *(b for a, b in pairwise(last) if b != a + 1)}
        bounds = sorted({*starts, len(first)})
        shape = [math.prod(self.sizes[first[i]] for i in range(a, b)) for a, b in pairwise(bounds)]
        order = [bounds.index(position) for position in last if position in starts]
        return (1, *shape), (0, *(axis + 1 for axis in order))


def merge_transposes(graph: Graph) -> Graph:
    """Return an equal graph where no chain of reshapes and transposes has two transposes."""
    return _rewrite(graph, _chains(graph), _merged)


def turn_shuffles(graph: Graph) -> Graph:
    """Return an equal graph where shuffles between NCHW tensors do their work on NHWC ones.

    The transposes before and behind them can move on to other layers then, or cancel.
    """
    nchw = _in_nchw(graph)

    def is_shuffle(chain: Sequence[Node]) -> bool:
        ends_right = len(graph.tensors[chain[-1].output].shape) == 4 and chain[-1].op == "reshape"
        return chain[0].op == "reshape" and ends_right and chain[0].inputs[0] in nchw

    chains = [chain for chain in _chains(graph) if _transposes(chain) and is_shuffle(chain)]
    return _rewrite(graph, chains, _turned)


def _rewrite(
    graph: Graph,
    chains: Iterable[list[Node]],
    rewritten: Callable[[Graph, dict[str, Tensor], list[Node]], list[Node] | None],
) -> Graph:
    """The graph with what ``rewritten`` makes of each chain, its tensors entered."""
    tensors, replaced = dict(graph.tensors), dict[str, list[Node]]()
    dropped: set[str] = set()
    for chain in chains:
        shorter = rewritten(graph, tensors, chain)
        if shorter is not None:
            replaced[chain[-1].output] = shorter
            dropped.update(node.output for node in chain[:-1])
    nodes = [
        new
        for node in graph.nodes
        if node.output not in dropped
        for new in replaced.get(node.output, [node])
    ]
    return prune(graph.replace(nodes=tuple(nodes), tensors=tensors))


def _chains(graph: Graph) -> Iterator[list[Node]]:
    """Runs of moves, each read by the next one alone, in execution order."""
    consumers = graph.consumers()
    open_chains: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op not in ("reshape", "transpose") or not same_quant(graph, node):
            continue
        before = open_chains.pop(node.inputs[0], [])
        if before and not feeds_only(graph, node.inputs[0], node, consumers):
            yield before
            before = []
        open_chains[node.output] = [*before, node]
    yield from open_chains.values()


def _merged(graph: Graph, tensors: dict[str, Tensor], chain: list[Node]) -> list[Node] | None:
    """The chain with one transpose or none, its tensors entered; None where it has no more now."""
    factors = _Factors(graph.tensors[chain[0].inputs[0]].shape)
    if not factors.follow(graph, chain):
        return None
    _, order = factors.runs()
    if _transposes(chain) <= (0 if is_identity(order) else 1):
        return None
    return _emit(tensors, factors, chain[0].inputs[0], graph.tensors[chain[-1].output])


def _turned(graph: Graph, tensors: dict[str, Tensor], chain: list[Node]) -> list[Node] | None:
    """The chain from NHWC to NHWC between two transposes; None where it does not fit."""
    source, output = graph.tensors[chain[0].inputs[0]], graph.tensors[chain[-1].output]
    factors = _Factors(permuted(source.shape, NCHW_TO_NHWC))
    factors.transpose(NHWC_TO_NCHW)
    if not factors.follow(graph, chain):
        return None
    factors.transpose(NCHW_TO_NHWC)
    first, last = (
        Tensor(
            unique_name(tensors, f"{tensor.name}_nhwc"),
            permuted(tensor.shape, NCHW_TO_NHWC),
            tensor.dtype,
            None,
            tensor.quant,
        )
        for tensor in (source, output)
    )
    tensors |= {first.name: first, last.name: last}
    inner = _emit(tensors, factors, first.name, last)
    if inner is None:
        return None
    to_nhwc, to_nchw = TransposeAttributes(NCHW_TO_NHWC), TransposeAttributes(NHWC_TO_NCHW)
    return [
        Node("transpose", (source.name,), (first.name,), to_nhwc),
        *inner,
        Node("transpose", (last.name,), (output.name,), to_nchw),
    ]


def _in_nchw(graph: Graph) -> set[str]:
    """Tensors of rank 4 that come from a transpose to NCHW."""
    found: set[str] = set()
    for node in graph.nodes:
        a = node.attributes
        if isinstance(a, TransposeAttributes):
            made = a.permutation == NHWC_TO_NCHW
        else:
            made = not found.isdisjoint(node.inputs)
        found.update(n for n in node.outputs if made and len(graph.tensors[n].shape) == 4)
    return found


def _transposes(chain: list[Node]) -> int:
    return sum(node.op == "transpose" for node in chain)


def _emit(
    tensors: dict[str, Tensor], factors: _Factors, source: str, output: Tensor
) -> list[Node] | None:
    """Reshape, transpose and reshape that make ``output``; None where there are too many axes."""
    shape, order = factors.runs()
    if len(shape) > MAX_RANK:
        return None
    made, name = list[Node](), source
    if not is_identity(order):
        for op, result, attributes in (
            ("reshape", shape, ReshapeAttributes(shape)),
            ("transpose", permuted(shape, order), TransposeAttributes(order)),
        ):
            new = unique_name(tensors, f"{output.name}_{op}d")
            tensors[new] = Tensor(new, result, output.dtype, None, output.quant)
            made.append(Node(op, (name,), (new,), attributes))
            name = new
    return [*made, Node("reshape", (name,), (output.name,), ReshapeAttributes(output.shape))]
