"""Convolutions with the maximum pooling behind them: the maximum is that of the sums.

For one output channel, requantization is `clamp(zero point + R(s))` of a sum s, where R multiplies
with a constant that is not negative, shifts and rounds to nearest: each step keeps the order of
two sums, so that the whole is monotone in s. The largest byte of a window is therefore that of
the largest sum, and one requantization a window is enough. Positions in the padding of the
pooling never win, and are left out, as its kernel does.

The limits of both layers become one clamp. Of x clamped to [a, b] and then to [c, d] comes
a' = clamp(a, c, d) for x <= a, b' = clamp(b, c, d) for x >= b, and clamp(x, c, d) in between:
that is x clamped to [a', b'], for a' = max(a, c) and b' = min(b, d) where the intervals meet, and
a' = b' where they do not.

What `Conv2DBlocked` proves of sums and of their requantization holds here too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgecnn.ir import Graph
from edgecnn.ops.conv2d import Conv2DParams
from edgecnn.pool_operator import PoolParams
from firmware_export import distances
from firmware_export.exporters import CLayer
from firmware_export.fast.conv2d_blocked import KERNEL as BLOCKED
from firmware_export.fused_kernel import FusedKernel, Pair
from firmware_export.pool_layer import pool_layer

#: Positions of a window: there is a patch in the scratch memory for each.
MAX_POSITIONS = 16


class Conv2DPooled(FusedKernel[Conv2DParams, PoolParams]):
    """Convolutions that `Conv2DBlocked` can compute, with filters whose columns are side by side.

    Windows have up to 16 positions.
    """

    ops = ("conv2d", "max_pool2d")
    may_be_shared = True

    def layer(
        self, pair: Pair, graph: Graph, params: tuple[Conv2DParams, PoolParams]
    ) -> CLayer | None:
        """The blocks of `Conv2DBlocked`, with both windows in the shape."""
        convolution, pool = params
        positions = math.prod(pool.window.size)
        blocked = BLOCKED.layer(pair[0], graph, with_limits_of(convolution, pool))
        is_apart = convolution.dilation[1] > 1
        if blocked is None or positions > MAX_POSITIONS or is_apart:
            return None
        pairs = blocked.shape["pairs"]
        assert isinstance(pairs, int)
        columns = 8 * pairs * -(-positions // 2)
        return replace(
            blocked,
            kernel="conv2d_pooled",
            shape={
                **{f"conv.{name}": value for name, value in blocked.shape.items()},
                **{
                    f"pool.{name}": value for name, value in pool_layer("", pool, {}).fields.items()
                },
            },
            scratch_bytes=columns + bytes_under(convolution, pool),
            overlaps=_overlaps(convolution, pool),
        )


def _overlaps(params: Conv2DParams, pool: PoolParams) -> distances.Overlaps:
    """All under a window is read before the channels of its maximum are written."""
    starts = [
        np.clip(np.arange(n) * step - pad, 0, size) * stride - before
        for n, step, pad, size, stride, before in zip(
            pool.output_shape[1:3],
            pool.window.stride,
            pool.window.padding[::2],
            pool.input_shape[1:3],
            params.stride,
            params.padding[::2],
            strict=True,
        )
    ]
    height, width, channels = params.input_shape[1:]
    first = distances.first_bytes(starts[0], starts[1], (height, width, channels))
    ends = (1 + np.arange(first.size)) * pool.output_shape[3]
    return distances.overlaps(first, ends, height * width * channels)


def bytes_under(params: Conv2DParams, pool: PoolParams) -> int:
    """Bytes of the input under a window of the pooling."""
    height, width = (
        (pool.window.size[i] - 1) * params.stride[i]
        + (params.weights.shape[1 + i] - 1) * params.dilation[i]
        + 1
        for i in range(2)
    )
    return height * width * params.input_shape[3]


def with_limits_of(params: Conv2DParams, pool: PoolParams) -> Conv2DParams:
    """A convolution that clamps as the pooling behind it does, too."""
    limits = (params.activation_min, params.activation_max)
    low, high = (int(np.clip(v, pool.activation_min, pool.activation_max)) for v in limits)
    return replace(params, activation_min=low, activation_max=high)


KERNEL = Conv2DPooled()
