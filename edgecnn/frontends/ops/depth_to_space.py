"""Channels into blocks: ATen's pixel_shuffle, ONNX's and TFLite's DepthToSpace, channel shuffle."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.frontends.windows import image_rank_4
from edgecnn.ops.depth_to_space import DepthToSpaceAttributes


def swap_channel_groups(b: GraphBuilder, x: Value, groups: int) -> Value:
    """Reorder the channels of NHWC: channel (g, c) of ``groups`` groups becomes (c, g).

    The passes make it an order of the filters of the layer before, where there is one.
    """
    n, h, w, channels = b.shape(x)
    if channels % groups:
        raise Unsupported(f"its {channels} channels are no whole number of groups of {groups}")
    if groups in (1, channels):
        return x
    split = to_shape(b, x, (n, h, w, groups, channels // groups))
    return to_shape(b, b.transpose(split, (0, 1, 2, 4, 3), "_swapped"), (n, h, w, channels))


@tflite("DEPTH_TO_SPACE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import DEPTH_TO_SPACE."""
    attributes = DepthToSpaceAttributes(int(op.options.blockSize))
    return op.emit(b, "depth_to_space", op.inputs, attributes)


@aten("pixel_shuffle.default")
def from_aten(b: GraphBuilder, x: Value, block: int) -> Value:
    """Import pixel_shuffle: blocks of each channel, where TFLite has channels of each pixel."""
    image_rank_4(b, x)
    channels = b.shape(x)[1]
    if channels % (block * block):
        raise Unsupported(f"its {channels} channels do not fill blocks of {block}x{block}")
    grouped = swap_channel_groups(b, b.nhwc(x), channels // (block * block))
    return b.nchw(b.emit("depth_to_space", [grouped], DepthToSpaceAttributes(block)))


@aten("channel_shuffle.default", "native_channel_shuffle.default")
def from_aten_channel_shuffle(b: GraphBuilder, x: Value, groups: int) -> Value:
    """Import channel_shuffle."""
    image_rank_4(b, x)
    return b.nchw(swap_channel_groups(b, b.nhwc(x), groups))


@onnx("DepthToSpace")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import DepthToSpace in both modes: DCR is TFLite's order of channels, CRD torch's."""
    x, block = node.value(0), int(node.attributes["blocksize"])
    mode = node.attributes.get("mode", "DCR")
    if mode == "CRD":
        return from_aten(b, x, block)
    if mode != "DCR":
        raise Unsupported(f"its mode is '{mode}'; there are DCR and CRD")
    image_rank_4(b, x)
    return b.nchw(b.emit("depth_to_space", [b.nhwc(x)], DepthToSpaceAttributes(block)))
