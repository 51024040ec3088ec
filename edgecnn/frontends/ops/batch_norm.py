"""Batch normalization at inference: ATen's batch_norm (both kinds), ONNX's BatchNormalization."""

from __future__ import annotations

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.sequences import as_images, as_sequences
from edgecnn.frontends.spelling import OnnxNode, aten, onnx
from edgecnn.ops.batch_norm import BatchNormAttributes


def from_nchw(
    b: GraphBuilder,
    x: Value,
    scale: Value | None,
    offset: Value | None,
    mean: Value | None,
    variance: Value | None,
    epsilon: float,
) -> Value:
    """Import a normalization of axis 1 by constants; an absent scale is 1, an absent offset 0."""
    if mean is None or variance is None:
        raise Unsupported(
            "it normalizes by the statistics of each batch", "train with track_running_stats=True"
        )
    shape = b.shape(x)
    rank, channels = len(shape), shape[1]
    vectors = [
        scale or b.constant(np.ones(channels, np.float32), f"{b.scope}.weight"),
        offset or b.constant(np.zeros(channels, np.float32), f"{b.scope}.bias"),
        mean,
        variance,
    ]
    if any(b.data(vector) is None for vector in vectors):
        raise Unsupported("its parameters are computed by the network; they must be constant")
    attributes = BatchNormAttributes(epsilon)
    if rank == 3:  # as an image, which the convolution before it has computed
        y = b.emit("batch_norm", [b.nhwc(as_images(b, x)), *vectors], attributes)
        return as_sequences(b, b.nchw(y))
    last = (0, *range(2, rank), 1)
    first = (0, rank - 1, *range(1, rank - 1))
    moved = x if rank == 2 else b.transpose(x, last, "_nhwc")
    y = b.emit("batch_norm", [moved, *vectors], attributes)
    return y if rank == 2 else b.transpose(y, first, "_nchw")


@aten("batch_norm.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    scale: Value | None,
    offset: Value | None,
    mean: Value | None,
    variance: Value | None,
    training: bool,
    momentum: float,
    epsilon: float,
    cudnn: bool = False,
) -> Value:
    """Import batch_norm."""
    if training:
        raise Unsupported("it is in training mode", "call model.eval() before exporting")
    return from_nchw(b, x, scale, offset, mean, variance, epsilon)


@aten("_native_batch_norm_legit_no_training.default")
def from_core_aten(
    b: GraphBuilder,
    x: Value,
    scale: Value | None,
    offset: Value | None,
    mean: Value | None,
    variance: Value | None,
    momentum: float,
    epsilon: float,
) -> Value:
    """Import the core spelling, whose first result is the normalized tensor."""
    return from_nchw(b, x, scale, offset, mean, variance, epsilon)


@onnx("BatchNormalization")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import BatchNormalization at inference."""
    a, x = node.attributes, node.value(0)
    statistics_too = node.opset < 14 and len([name for name in node.outputs if name]) > 1
    if a.get("training_mode", 0) or statistics_too:
        raise Unsupported("it is in training mode", "export the model for inference")
    if not a.get("spatial", 1):
        raise Unsupported("it normalizes each pixel apart (spatial=0)")
    vectors = [node.value(position) for position in range(1, 5)]
    channels = b.shape(x)[1:2]
    if any(b.shape(vector) != channels for vector in vectors):
        raise ModelFormatError(f"BatchNormalization at '{b.scope}' does not fit its input")
    scale, offset, mean, variance = vectors
    return from_nchw(b, x, scale, offset, mean, variance, float(a.get("epsilon", 1e-5)))
