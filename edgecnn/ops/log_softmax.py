"""Logarithm of the softmax over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import (
    INT8_MAX,
    INT8_MIN,
    INT32_MAX,
    INT32_MIN,
    exp_on_negative_values,
    input_radius,
    log_from_one,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_int8,
)
from edgecnn.ir import Array, Attributes, Graph, Node, QuantParams, Shape
from edgecnn.operators import Dialect, Operator, OutputRange

#: Integer bits of the scaled difference to the largest input, of the sum, and of the output.
DIFFERENCE_INTEGER_BITS = 5
SUM_INTEGER_BITS = 12
OUTPUT_INTEGER_BITS = 4

#: Values whose sum of exponentials, each at most 1, fits 12 integer bits.
MAX_DEPTH = (1 << SUM_INTEGER_BITS) - 1


@dataclass(frozen=True)
class LogSoftmaxParams:
    """Integers of an int8 log-softmax over rows of ``depth`` values.

    ``inverse_multiplier`` and ``inverse_shift`` bring Q5.26 back to steps of the input.
    """

    depth: int
    rows: int
    multiplier: int
    left_shift: int
    inverse_multiplier: int
    inverse_shift: int
    difference_min: int


class LogSoftmax(Operator[Attributes, LogSoftmaxParams]):
    """Log-softmax."""

    summary = "over the last axis; output scale 1/16, zero point 127"
    output_range = OutputRange.FIXED
    fixed_output = QuantParams.per_tensor(16 / 256, 127)

    def infer_shapes(self, attributes: Attributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: Attributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        difference = x - x.max(axis=-1, keepdims=True)
        return (difference - np.log(np.exp(difference).sum(axis=-1, keepdims=True)),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> LogSoftmaxParams:
        """Scale to Q5.26 and back, as TFLite's ``PreprocessLogSoftmaxScalingExp``."""
        x = graph.tensors[node.inputs[0]]
        real = min(x.scale * (1 << (31 - DIFFERENCE_INTEGER_BITS)), float(INT32_MAX))
        multiplier, left_shift = quantize_multiplier(real)
        inverse, inverse_shift = quantize_multiplier((1 << (31 - left_shift)) / multiplier)
        return LogSoftmaxParams(
            depth=x.shape[-1],
            rows=x.size // x.shape[-1],
            multiplier=multiplier,
            left_shift=left_shift,
            inverse_multiplier=inverse,
            inverse_shift=inverse_shift,
            difference_min=-input_radius(DIFFERENCE_INTEGER_BITS, left_shift),
        )

    def evaluate_int(self, params: LogSoftmaxParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Compute TFLite's fixed-point log-softmax (``reference/log_softmax.h`` for int8)."""
        p = params
        x = inputs[0].astype(np.int64)
        difference = x - x.max(axis=-1, keepdims=True)
        counts = difference >= p.difference_min
        scaled = multiply_by_quantized_multiplier(
            np.where(counts, difference, 0), p.multiplier, p.left_shift
        )
        powers = exp_on_negative_values(scaled, DIFFERENCE_INTEGER_BITS)
        terms = np.where(counts, rounding_divide_by_pot(powers, SUM_INTEGER_BITS), 0)
        log_sum = log_from_one(terms.sum(axis=-1, keepdims=True), SUM_INTEGER_BITS)
        smallest = multiply_by_quantized_multiplier(
            log_sum + INT32_MIN, p.inverse_multiplier, p.inverse_shift
        )
        shows = difference > np.maximum(p.difference_min - 1, smallest)
        fraction_bits = 31 - DIFFERENCE_INTEGER_BITS - OUTPUT_INTEGER_BITS
        y = saturate_int8(rounding_divide_by_pot(scaled - log_sum, fraction_bits) + INT8_MAX)
        return (np.where(shows, y, np.int8(INT8_MIN)),)

    def permuted(self, attributes: Attributes, permutation: tuple[int, ...]) -> Attributes | None:
        return attributes if permutation[-1] == len(permutation) - 1 else None

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if x.shape[-1] > MAX_DEPTH:
            return f"it runs over {x.shape[-1]} values; at most {MAX_DEPTH} are supported"
        if x.quant is not None and x.scale * (1 << 26) <= 1:
            return "its input scale is under 2**-26"
        if output.quant is not None and output.quant != self.fixed_output:
            return "its output scale is not 1/16 with zero point 127"
        return None


OPERATOR = LogSoftmax()
