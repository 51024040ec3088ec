"""Sequences (N, C, L) as images of one row, which is how boards compute them."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.windows import Pair


def as_images(b: GraphBuilder, x: Value) -> Value:
    """(N, C, L) as (N, C, 1, L)."""
    shape = b.shape(x)
    if len(shape) != 3:
        raise Unsupported(
            f"its input has the shape {shape}; only (N, C, L) is supported",
            "add a batch dimension",
        )
    return image_of(b, x) or to_shape(b, x, (shape[0], shape[1], 1, shape[2]))


def image_of(b: GraphBuilder, x: Value) -> Value | None:
    """The (N, C, 1, L) that a sequence (N, C, L) was made from, if it was made from one."""
    source = next((node for node in reversed(b.nodes) if x in node.outputs), None)
    if source is None or source.op != "reshape" or len(b.shape(x)) != 3:
        return None
    n, channels, length = b.shape(x)
    image = source.inputs[0]
    return image if b.shape(image) == (n, channels, 1, length) else None


def as_sequences(b: GraphBuilder, x: Value) -> Value:
    """(N, C, 1, L) as (N, C, L)."""
    n, channels, height, length = b.shape(x)
    assert height == 1
    return to_shape(b, x, (n, channels, length))


def weights_as_images(b: GraphBuilder, weights: Value) -> Value:
    """Weights (O, I, K) of a 1-D layer as (O, I, 1, K)."""
    data = b.data(weights)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    return b.constant(data[:, :, None], weights)


def beside(values: int | Sequence[int], height: int) -> Pair:
    """A width of 1-D with the height that does nothing: 1 for a stride, 0 for a padding."""
    return height, int(values if isinstance(values, int) else values[0])
