"""The ranges that activations are rounded to: found on the first batches, then learned.

Each end of a range is what was found times ``exp`` of a parameter. A step of the optimizer thus
changes it by a share of itself, whatever the units of the tensor are, an end that is 0 stays 0,
and weight decay only draws it back to what was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from edgecnn.errors import DataError, UserError
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.ir import QuantParams
from edgecnn.qat.plan import Row
from edgecnn.qat.rounding import affine, fake_quantize

#: Ranges that a prepared network has parameters for, since they are there before it is traced.
#: Networks that fit a microcontroller have tens of them.
CAPACITY = 1024

_BINS = 2048
_STEPS = 40

#: How much of its gradient a range gets. Of a factor it does not depend on the tensor's size or
#: units; at the rates that weights are trained with, all of it moves ranges too fast (with SGD;
#: Adam makes it the same for any share).
_SHARE = 1 / 32


def least_error(values: Tensor) -> tuple[float, float]:
    """The range with the least squared error on some values: `quantization.ranges.mse`."""
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError("a tensor of the network is not finite on the first batches")
    if high <= low:
        return low, high
    counts = torch.histc(values.float(), _BINS, low, high).double().cpu()
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64)
    centres = (edges[:-1] + edges[1:]) / 2
    shares = torch.arange(_STEPS, 0, -1, dtype=torch.float64)[:, None] / _STEPS
    a, b = min(low, 0.0) * shares, max(high, 0.0) * shares
    clipped = centres - torch.minimum(torch.maximum(centres, a), b)
    rounding = ((b - a) / (INT8_MAX - INT8_MIN)) ** 2 / 12
    errors = (counts * torch.where(clipped == 0, rounding, clipped**2)).sum(1)
    best = int(errors.argmin())
    return float(a[best]), float(b[best])


@dataclass(frozen=True)
class Scale:
    """A range and its `affine`, all scalar tensors."""

    low: Tensor
    high: Tensor
    scale: Tensor
    zero_point: Tensor

    def quant(self) -> QuantParams:
        """The same as the graph has it."""
        return QuantParams.per_tensor(float(self.scale), int(self.zero_point))


class Ranges(nn.Module):
    """Ranges of the rows of a plan, float64.

    ``found`` (rows, 2) and ``seen``, the number of batches that it was found on, are state;
    ``factors`` (rows, 2) are trained.
    """

    found: Tensor
    seen: Tensor

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.batches = batches
        self.factors = nn.Parameter(torch.zeros(CAPACITY, 2))
        self.register_buffer("found", torch.zeros(CAPACITY, 2, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @property
    def is_looking(self) -> bool:
        """Whether the next batch is one of the first."""
        return int(self.seen) < self.batches

    @torch.no_grad()
    def look(self, rows: Sequence[Row], values: Mapping[str, Tensor]) -> None:
        """Take the ranges of a batch into the mean of those of the first batches.

        All processes of a distributed training come to the same ranges.
        """
        if len(rows) > CAPACITY:
            raise UserError(
                f"the network has {len(rows)} ranges; quantization-aware training takes {CAPACITY}"
            )
        spans = []
        for row in rows:
            parts = [least_error(values[name]) for name in row.members if row.fixed is None]
            lows, highs = zip(*(parts or [(0.0, 0.0)]), strict=True)
            spans.append((min(*lows, 0.0), max(*highs, 0.0)))
        batch = torch.tensor(spans, dtype=torch.float64, device=self.found.device)
        mean_of_processes([batch])
        known = self.found[: len(rows)] * self.factors[: len(rows)].double().exp()
        count = int(self.seen) + 1
        self.found[: len(rows)] = known + (batch - known) / count
        self.factors.zero_()
        self.seen += 1

    def ends(self, rows: Sequence[Row], constants: Mapping[str, Tensor]) -> Tensor:
        """Low and high of each row, float64 (rows, 2): what is learned, and the constants."""
        if int(self.seen) == 0:
            raise UserError(
                "the prepared network has seen no data: let a batch go through it in train mode, "
                "or load the state_dict of one that has been trained"
            )
        learned = self.found[: len(rows)] * self.factors[: len(rows)].double().exp()
        held = learned.detach().clone()
        for number, row in enumerate(rows):
            for name in row.constants:
                data = constants[name].detach().double()
                held[number, 0] = torch.minimum(held[number, 0], data.min())
                held[number, 1] = torch.maximum(held[number, 1], data.max())
        return torch.where(held == learned, learned, held)

    def scales(self, rows: Sequence[Row], constants: Mapping[str, Tensor]) -> list[Scale]:
        """Scale and zero point of each row."""
        ends = self.ends(rows, constants)
        scales, zero_points = affine(*ends.detach().unbind(1))
        result = []
        for row, span, scale, zero_point in zip(rows, ends, scales, zero_points, strict=True):
            if row.fixed is not None:
                scale = torch.full_like(scale, row.fixed.scale[0])
                zero_point = torch.full_like(zero_point, row.fixed.zero_point[0])
                span = span.detach()
            result.append(Scale(span[0], span[1], scale, zero_point))
        return result


def rounded(x: Tensor, scale: Scale) -> Tensor:
    """A tensor as its int8 values stand for it; its range gets `_SHARE` of the gradient."""
    low, high = (end * _SHARE + (end * (1 - _SHARE)).detach() for end in (scale.low, scale.high))
    return fake_quantize(x, low, high, scale.scale, scale.zero_point)


def mean_of_processes(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over the processes of a distributed training."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    count = distributed.get_world_size()
    if count == 1 or not tensors:
        return
    flat = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors])
    distributed.all_reduce(flat)
    start = 0
    for tensor in tensors:
        part = flat[start : start + tensor.numel()]
        tensor.copy_((part / count).reshape(tensor.shape).to(tensor.dtype))
        start += tensor.numel()
