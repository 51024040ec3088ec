"""Blocks into channels: ATen's pixel_unshuffle, ONNX's and TFLite's SpaceToDepth."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.ops.depth_to_space import swap_channel_groups
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.frontends.windows import image_rank_4
from edgecnn.ops.space_to_depth import SpaceToDepthAttributes


@tflite("SPACE_TO_DEPTH")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SPACE_TO_DEPTH."""
    attributes = SpaceToDepthAttributes(int(op.options.blockSize))
    return op.emit(b, "space_to_depth", op.inputs, attributes)


@onnx("SpaceToDepth")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import SpaceToDepth in both modes: DCR is TFLite's order of channels, CRD torch's."""
    x, block = node.value(0), int(node.attributes["blocksize"])
    mode = node.attributes.get("mode", "DCR")
    if mode == "CRD":
        return from_aten(b, x, block)
    if mode != "DCR":
        raise Unsupported(f"its mode is '{mode}'; there are DCR and CRD")
    image_rank_4(b, x)
    return b.nchw(b.emit("space_to_depth", [b.nhwc(x)], SpaceToDepthAttributes(block)))


@aten("pixel_unshuffle.default")
def from_aten(b: GraphBuilder, x: Value, block: int) -> Value:
    """Import pixel_unshuffle: a block of each channel, where TFLite has channels of each pixel."""
    image_rank_4(b, x)
    y = b.emit("space_to_depth", [b.nhwc(x)], SpaceToDepthAttributes(block))
    return b.nchw(swap_channel_groups(b, y, block * block))
