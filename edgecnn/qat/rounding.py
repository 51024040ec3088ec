"""The rounding of `edgecnn.fixedpoint` and `edgecnn.quantization` in torch, with gradients.

Forward, each function gives the reals that the integers of the exported network stand for.
Backward, rounding counts as the identity, and clipping as what it is.
"""

from __future__ import annotations

from typing import Any

import torch

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.quantization.ranges import MIN_SCALE
from edgecnn.quantization.weights import MAX_BIAS

_STEPS = INT8_MAX - INT8_MIN


def round_half_away(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer, halves away from zero: `fixedpoint.round_half_away`."""
    # The number before 0.5: with 0.5 itself the sum rounds up from just under a half.
    almost_half = 0.5 - torch.finfo(x.dtype).eps / 4
    # Not trunc, which torch does not vectorize.
    return torch.copysign(x.abs().add_(almost_half).floor_(), x)


def affine(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 scales and zero points of float64 ranges: `quantization.ranges.affine` of each."""
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = ((high - low) / _STEPS).clamp(min=MIN_SCALE).float()
    zero_point = round_half_away(INT8_MIN - low / scale.double()).clamp(INT8_MIN, INT8_MAX).float()
    empty = high == low
    return torch.where(empty, 1.0, scale), torch.where(empty, 0.0, zero_point)


class _FakeQuantize(torch.autograd.Function):
    """Reals to int8 and back; gradients for the input and for both ends of the range.

    Inside of the range the ends get what rounding leaves (Esser et al., "Learned Step Size
    Quantization", 2020), outside of it the end that clipped gets everything.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        low: torch.Tensor,
        high: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor,
    ) -> torch.Tensor:
        quotient = x / scale
        steps = round_half_away(quotient)
        zero = float(zero_point)
        clipped = torch.clamp(steps, INT8_MIN - zero, INT8_MAX - zero)
        # As float, since products with it are vectorized, unlike selections by a mask.
        inside = torch.eq(steps, clipped, out=torch.empty_like(steps))
        ctx.save_for_backward(inside, quotient.neg_().add_(clipped))
        return clipped * scale

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = gradients
        inside, residue = ctx.saved_tensors
        passed = gradient * inside
        clipped = gradient - passed
        rest = _dot(passed, residue) / _STEPS
        # The residue is under 0 where the value was over the range.
        below_less_above, both = _dot(clipped, residue.sign()), clipped.sum()
        low, high = (both + below_less_above) / 2 - rest, (both - below_less_above) / 2 + rest
        return passed, low.double(), high.double(), None, None


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def fake_quantize(
    x: torch.Tensor,
    low: torch.Tensor,
    high: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
) -> torch.Tensor:
    """Round to the 256 reals of a range: `fixedpoint.quantize` and back.

    ``scale`` and ``zero_point`` are `affine` of ``low`` and ``high``, float64 scalars.
    """
    result: torch.Tensor = _FakeQuantize.apply(x, low, high, scale, zero_point)
    return result


def straight_through(x: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """The rounded values, with the gradient of the exact ones."""
    return x + (rounded - x).detach()


def _along(axis: int, rank: int) -> list[int]:
    shape = [1] * rank
    shape[axis] = -1
    return shape


def weight_scales(
    weights: torch.Tensor, axis: int, bias: torch.Tensor | None, input_scale: torch.Tensor
) -> torch.Tensor:
    """float32 scale of each output channel: `quantization.weights.weight_scales`."""
    others = [i for i in range(weights.dim()) if i != axis]
    scales = weights.detach().double().abs().amax(others) / INT8_MAX
    if bias is not None:
        smallest = bias.detach().double().abs() / input_scale.double() / MAX_BIAS
        scales = torch.maximum(scales, smallest)
    filler = torch.where((scales > 0).any(), scales.amax(), 1.0)
    chosen = torch.where(scales > 0, scales, filler).float()
    return chosen.clamp(min=torch.finfo(torch.float32).tiny)


def quantize_weights(weights: torch.Tensor, axis: int, scales: torch.Tensor) -> torch.Tensor:
    """Weights as symmetric int8 in [-127, 127] holds them."""
    along = scales.double().reshape(_along(axis, weights.dim()))
    steps = round_half_away(weights.detach().double() / along).clamp(-INT8_MAX, INT8_MAX)
    return straight_through(weights, (steps * along).float())


def quantize_bias(
    bias: torch.Tensor, input_scale: torch.Tensor, scales: torch.Tensor
) -> torch.Tensor:
    """A bias in steps of input scale times weight scale."""
    steps = input_scale.double() * scales.double()
    codes = round_half_away(bias.detach().double() / steps).clamp(-MAX_BIAS, MAX_BIAS)
    return straight_through(bias, (codes * steps).float())


def quantize_operand(data: torch.Tensor) -> torch.Tensor:
    """A constant operand as asymmetric int8 over its own range."""
    low, high = data.detach().min().double(), data.detach().max().double()
    return fake_quantize(data, low, high, *affine(low, high))
