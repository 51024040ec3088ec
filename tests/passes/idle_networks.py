"""Random int8 networks of which many channels are idle: zero weights, saturating biases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, QuantParams, Shape
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.leaky_relu import LeakyReluAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.mirror_pad import MirrorPadAttributes
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.ops.reduce_max import ReduceMaxAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.resize_nearest import ResizeNearestAttributes
from edgecnn.ops.slice import Part, SliceAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.ops.space_to_depth import SpaceToDepthAttributes
from edgecnn.ops.split import SplitAttributes
from edgecnn.ops.sub import SubAttributes
from edgecnn.ops.sum import SumAttributes
from edgecnn.ops.transpose import TransposeAttributes
from tests.passes.int8_sketch import Int8Sketch

Rng = np.random.Generator
#: A step appends nodes that read a tensor, and returns what others may read.
Step = Callable[[Int8Sketch, Rng, str], list[str]]

LARGEST = 600
ACTIVATIONS = ("none", "relu", "relu6")


def _quant(rng: Rng) -> QuantParams:
    zero_point = int(rng.choice([-128, -128, 127, 0, rng.integers(-128, 128)]))
    return QuantParams.per_tensor(float(rng.uniform(0.02, 0.2)), zero_point)


def _weights(rng: Rng, shape: Shape, axis: int) -> Array:
    """Random weights, 0 for some output channels (``axis``) and some channels of the last axis."""
    data = rng.integers(-127, 128, shape)
    data.swapaxes(0, axis)[rng.random(shape[axis]) < rng.choice([0, 0.3, 0.8])] = 0
    data[..., rng.random(shape[-1]) < rng.choice([0, 0.3, 0.8])] = 0
    return data


def _bias(rng: Rng, count: int) -> Array | None:
    if rng.random() < 0.2:
        return None
    large = rng.choice([-1, 1], count) * (1 << 22)
    small = rng.integers(-9000, 9000, count)
    return np.where(rng.random(count) < rng.choice([0, 0.3, 0.8]), large, small)


def _activation(rng: Rng) -> str:
    return str(rng.choice(ACTIVATIONS))


def conv(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    depth, made, size = s.shape(x)[3], int(rng.integers(1, 9)), int(rng.choice([1, 1, 2, 3]))
    groups = depth if rng.random() < 0.1 else 1
    made *= groups
    padding = (0, 0, 0, 0) if rng.random() < 0.4 else tuple(rng.integers(0, 2, 4).tolist())
    image = s.shape(x)[1:3]
    if min(image) < size:
        return []
    weights = _weights(rng, (made, size, size, depth // groups), 0)
    if size == 3 and rng.random() < 0.3:  # the middle tap, which padding never touches
        weights[:, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    return [
        s.conv(
            x, weights, _bias(rng, made), padding=padding, stride=int(rng.integers(1, 3)),
            groups=groups, activation=_activation(rng), quant=_quant(rng),
        )
    ]  # fmt: skip


def depthwise(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    made, size = s.shape(x)[3] * int(rng.choice([1, 1, 2])), int(rng.choice([1, 2]))
    if min(s.shape(x)[1:3]) < size:
        return []
    padding = (0, 0, 0, 0) if rng.random() < 0.4 else tuple(rng.integers(0, 2, 4).tolist())
    weights = _weights(rng, (1, size, size, made), 3)
    activation, quant = _activation(rng), _quant(rng)
    bias = _bias(rng, made)
    return [s.depthwise(x, weights, bias, padding=padding, activation=activation, quant=quant)]


def dense(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    shape, units = s.shape(x), int(rng.integers(1, 9))
    keep_dims = bool(rng.random() < 0.5)
    rows = int(np.prod(shape[1:-1]))
    columns = shape[-1] if keep_dims or rng.random() < 0.5 else shape[-1] * rows
    asymmetric = int(rng.integers(-9, 9)) if rng.random() < 0.2 else 0
    weights = _weights(rng, (units, columns), 0)
    if asymmetric:
        weights[weights == 0] = asymmetric
    y = s.dense(
        x, weights, _bias(rng, units), activation=_activation(rng), keep_dims=keep_dims,
        weights_zero_point=asymmetric, quant=_quant(rng),
    )  # fmt: skip
    return [y]


UNARY: tuple[tuple[str, Attributes | None], ...] = (
    ("relu", None), ("relu6", None), ("sigmoid", None), ("tanh", None), ("hard_swish", None),
    ("leaky_relu", LeakyReluAttributes(0.1)), ("requantize", None),
    ("softmax", SoftmaxAttributes()),
)  # fmt: skip


def unary(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    op, attributes = UNARY[rng.integers(len(UNARY))]
    return [s.emit(op, [x], attributes, _quant(rng))]


def binary(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    """With an earlier tensor of the same shape, itself, or a constant."""
    op, attributes = [
        ("add", AddAttributes(_activation(rng))),
        ("mul", MulAttributes(_activation(rng))),
        ("sub", SubAttributes(_activation(rng))),
        ("squared_difference", None),
        ("maximum", None),
        ("minimum", None),
    ][rng.integers(6)]
    shape = s.shape(x)
    same_scale = op in ("maximum", "minimum")
    fitting = [
        name
        for name, t in s.tensors.items()
        if t.data is None
        and t.shape in (shape, (*shape[:-1], 1))
        and (not same_scale or t.quant == s.tensors[x].quant)
    ]
    if rng.random() < 0.6:
        other = fitting[rng.integers(len(fitting))]
    else:
        tail = [n if rng.random() < 0.8 else 1 for n in shape[rng.integers(len(shape)) :]]
        quant = s.tensors[x]
        scale, zero = (quant.scale, quant.zero_point) if same_scale else (0.03, 5)
        other = s.constant(rng.integers(-128, 128, tail), scale, zero)
    operands = [x, other] if rng.random() < 0.5 else [other, x]
    if same_scale and operands[0] == other and s.tensors[other].data is not None:
        operands.reverse()
    return [s.emit(op, operands, attributes, _quant(rng))]


def pool(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    size = int(rng.integers(1, 1 + min(3, *s.shape(x)[1:3])))
    op, kind = [
        ("average_pool2d", AveragePool2DAttributes),
        ("max_pool2d", MaxPool2DAttributes),
    ][rng.integers(2)]
    return [s.emit(op, [x], kind((size, size), (1, 1), activation=_activation(rng)))]


def move(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    rank, shape = len(s.shape(x)), s.shape(x)
    border = tuple((0, 0) if axis == 0 else (int(rng.integers(2)), 0) for axis in range(rank))
    kept = (*border[:-1], (0, 0)) if rng.random() < 0.7 else border
    choice = int(rng.integers(5))
    if choice == 0:
        return [s.emit("pad", [x], PadAttributes(kept, float(rng.uniform(-5, 5))))]
    if choice == 1 and all(n > 1 or pair == (0, 0) for n, pair in zip(shape, kept, strict=True)):
        return [s.emit("mirror_pad", [x], MirrorPadAttributes(kept, False))]
    if choice == 2:
        moved = rank - 1 if rng.random() < 0.5 else rank - 2
        order = (0, *(1 + rng.permutation(moved)).tolist(), *range(1 + moved, rank))
        return [s.emit("transpose", [x], TransposeAttributes(order))]
    axis = int(rng.integers(1, rank))
    begin = int(rng.integers(shape[axis]))
    part = Part(begin, shape[axis] - begin)
    parts = tuple(part if i == axis else None for i in range(rank))
    return [s.emit("slice", [x], SliceAttributes(parts))]


def image_move(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    height, width = s.shape(x)[1:3]
    if rng.random() < 0.5 and height % 2 == width % 2 == 0:
        return [s.emit("space_to_depth", [x], SpaceToDepthAttributes(2))]
    return [s.emit("resize_nearest", [x], ResizeNearestAttributes((height + 1, width)))]


def reshape(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    *others, depth = s.shape(x)
    count = int(np.prod(others))
    options = [(1, count * depth), (1, count, depth), (1, count, 1, depth)]
    if depth % 2 == 0:
        options.append((1, count, 2, depth // 2))
    if count % 2 == 0:
        options.append((1, count // 2, 1, depth * 2))
    return [s.emit("reshape", [x], ReshapeAttributes(options[rng.integers(len(options))]))]


def reduce(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    rank = len(s.shape(x))
    axes = tuple(
        axis for axis in range(1, rank) if rng.random() < (0.6 if axis < rank - 1 else 0.1)
    )
    op, kind = [
        ("mean", MeanAttributes), ("sum", SumAttributes), ("reduce_max", ReduceMaxAttributes),
    ][rng.integers(3)]  # fmt: skip
    return [s.emit(op, [x], kind(axes, True), _quant(rng))] if axes else []


def concat(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    """With itself, or others that come to the same scale."""
    shape, quant = s.shape(x), s.tensors[x].quant
    axis = len(shape) - 1 if rng.random() < 0.8 else 1
    fitting = [
        name
        for name, t in s.tensors.items()
        if t.data is None and len(t.shape) == len(shape)
        and all(a == b for i, (a, b) in enumerate(zip(t.shape, shape, strict=True)) if i != axis)
    ]  # fmt: skip
    others = [fitting[rng.integers(len(fitting))] for _ in range(int(rng.integers(1, 3)))]
    same = [
        name
        if s.tensors[name].quant == quant
        else s.emit("requantize", [name], Attributes(), quant)
        for name in others
    ]
    return [s.emit("concat", [x, *same], ConcatAttributes(axis))]


def split(s: Int8Sketch, rng: Rng, x: str) -> list[str]:
    shape = s.shape(x)
    axis = len(shape) - 1 if rng.random() < 0.8 else 1
    if shape[axis] < 2:
        return []
    first = int(rng.integers(1, shape[axis]))
    return s.emit_many("split", [x], SplitAttributes(axis, (first, shape[axis] - first)))


IMAGE_STEPS: tuple[Step, ...] = (conv, conv, conv, conv, depthwise, depthwise, pool, image_move)
STEPS: tuple[Step, ...] = (
    dense, dense, unary, unary, binary, binary, binary, move, reshape, reduce, concat, split,
)  # fmt: skip


def idle_network(rng: Rng, largest: int = LARGEST) -> Graph:
    """Up to 14 steps; what nothing reads and is not the last tensor is seldom an output."""
    image = tuple(int(n) for n in rng.integers(2, 6, 3))
    s = Int8Sketch(1, *image, zero_point=int(rng.integers(-128, 128)))
    values = [s.x]
    for _ in range(int(rng.integers(3, 15))):
        x = values[-1] if rng.random() < 0.8 else values[rng.integers(len(values))]
        is_image = len(s.shape(x)) == 4 and rng.random() < 0.6
        table = IMAGE_STEPS if is_image else STEPS
        values += [
            y
            for y in table[rng.integers(len(table))](s, rng, x)
            if np.prod(s.shape(y)) <= largest and 2 <= len(s.shape(y)) <= 4
        ]
    if len(values) == 1:
        values.append(s.emit("relu", [s.x]))
    outputs = {values[-1], *(name for name in values[1:] if rng.random() < 0.05)}
    return s.graph(*(name for name in values if name in outputs))
