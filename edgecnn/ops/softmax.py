"""Softmax over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn import wide_softmax
from edgecnn.accumulate import MAX_WIDE_INPUT
from edgecnn.fixedpoint import (
    INT8_MIN,
    INT32_MAX,
    count_leading_zeros_32,
    exp_on_negative_values,
    multiply_by_quantized_multiplier,
    one_over_one_plus_x,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_int8,
    saturating_rounding_doubling_high_mul,
    scaling_overflows,
)
from edgecnn.ir import INT16, Array, Attributes, Graph, Node, QuantParams, Shape
from edgecnn.operators import Dialect, Operator, OutputRange, in_both
from edgecnn.wide_softmax import WideSoftmaxParams

#: Integer bits of the scaled difference to the largest input, and of the sum of exponentials.
DIFFERENCE_INTEGER_BITS = 5
SUM_INTEGER_BITS = 12

#: The sum of exponentials has 12 integer bits, so that more values could overflow it.
MAX_DEPTH = (1 << SUM_INTEGER_BITS) - 1
#: A sum of exponentials from which shares are divided by 2**32 or more, which gives 0. TensorFlow
#: Lite Micro stops the program there, or shifts int32 by 32 bits, which C leaves undefined.
UNDEFINED_SUM = 512
LARGEST_SHIFT = 31


@dataclass(frozen=True)
class SoftmaxAttributes(Attributes):
    """The inputs are multiplied by ``beta`` first."""

    beta: float = 1.0


@dataclass(frozen=True)
class SoftmaxParams:
    """Integers of an int8 softmax over rows of ``depth`` values.

    Differences to the row's largest value that are under ``difference_min`` count as nothing.
    """

    depth: int
    rows: int
    multiplier: int
    left_shift: int
    difference_min: int


class Softmax(Operator[SoftmaxAttributes, SoftmaxParams | WideSoftmaxParams]):
    """Softmax."""

    attributes = SoftmaxAttributes
    summary = "over the last axis; output scale 1/256, zero point -128"
    output_range = OutputRange.FIXED
    fixed_output = QuantParams.per_tensor(1 / 256, -128)
    fixed_wide_output = QuantParams.per_tensor(2.0**-15, 0)
    has_wide_form = True
    wide_differences = in_both("of int16 it fills tables in double, not in float32")

    def infer_shapes(
        self, attributes: SoftmaxAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: SoftmaxAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        powers = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(attributes.beta))
        return (powers / powers.sum(axis=-1, keepdims=True),)

    def lower(
        self, node: Node, graph: Graph, dialect: Dialect
    ) -> SoftmaxParams | WideSoftmaxParams:
        """Scale the differences to Q5.26, as TFLite's ``PreprocessSoftmaxScaling``."""
        a = node.attributes
        assert isinstance(a, SoftmaxAttributes)
        x = graph.tensors[node.inputs[0]]
        if x.dtype == INT16:
            depth, in_double = x.shape[-1], dialect is not Dialect.TFLM
            rows = x.size // depth
            return wide_softmax.lower(depth, rows, x.scale, a.beta, in_double=in_double)
        beta = float(np.float32(a.beta))
        real = min(beta * x.scale * (1 << (31 - DIFFERENCE_INTEGER_BITS)), float(INT32_MAX))
        multiplier, left_shift = quantize_multiplier(real)
        largest = ((1 << DIFFERENCE_INTEGER_BITS) - 1) << (31 - DIFFERENCE_INTEGER_BITS)
        return SoftmaxParams(
            depth=x.shape[-1],
            rows=x.size // x.shape[-1],
            multiplier=multiplier,
            left_shift=left_shift,
            difference_min=-(largest >> left_shift),
        )

    def evaluate_int(
        self, params: SoftmaxParams | WideSoftmaxParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        """Compute TFLite's fixed-point softmax (``reference_ops::Softmax`` for int8)."""
        if isinstance(params, WideSoftmaxParams):
            return (wide_softmax.evaluate(params, inputs[0]),)
        counts, powers, reciprocal, exponent = self._exponentials(params, inputs[0])
        shares = saturating_rounding_doubling_high_mul(reciprocal, powers)
        y = saturate_int8(rounding_divide_by_pot(shares, exponent) + INT8_MIN)
        return (np.where(counts, y, np.int8(INT8_MIN)),)

    def undefined(
        self, params: SoftmaxParams | WideSoftmaxParams, inputs: Sequence[Array]
    ) -> Array | None:
        if isinstance(params, WideSoftmaxParams) or params.depth < UNDEFINED_SUM:
            return None
        *_, exponent = self._exponentials(params, inputs[0])
        over: Array = (exponent > LARGEST_SHIFT).any(axis=tuple(range(1, exponent.ndim)))
        return over

    def _exponentials(
        self, params: SoftmaxParams, inputs: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Which values count, their exponentials, 1 over their sum, and the shift of shares."""
        x = inputs.astype(np.int64)
        difference = x - x.max(axis=-1, keepdims=True)
        counts = difference >= params.difference_min
        scaled = multiply_by_quantized_multiplier(
            np.where(counts, difference, 0), params.multiplier, params.left_shift
        )
        powers = exp_on_negative_values(scaled, DIFFERENCE_INTEGER_BITS)
        terms = np.where(counts, rounding_divide_by_pot(powers, SUM_INTEGER_BITS), 0)
        total = terms.sum(axis=-1, keepdims=True)
        headroom = count_leading_zeros_32(total)
        reciprocal = one_over_one_plus_x((total << headroom) - (1 << 31))
        return counts, powers, reciprocal, SUM_INTEGER_BITS - headroom + 31 - 8

    def permuted(
        self, attributes: SoftmaxAttributes, permutation: tuple[int, ...]
    ) -> SoftmaxAttributes | None:
        return attributes if permutation[-1] == len(permutation) - 1 else None

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, SoftmaxAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if not a.beta > 0:
            return f"its beta is {a.beta}; it must be over 0"
        if graph.is_wide(node):
            return self._wide_problem(node, graph)
        if x.shape[-1] > MAX_DEPTH:
            return (
                f"it runs over {x.shape[-1]} values; TensorFlow Lite Micro can sum at most "
                f"{MAX_DEPTH} (let the network end with the softmax's input)"
            )
        if x.quant is not None and a.beta * x.scale * (1 << 26) <= 1:
            return "its input scale is under 2**-26"
        if output.quant is not None and output.quant != self.fixed_output:
            return "its output scale is not 1/256 with zero point -128"
        return None

    def _wide_problem(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if x.shape[-1] > wide_softmax.MAX_DEPTH:
            return f"it runs over {x.shape[-1]} int16 values; at most {wide_softmax.MAX_DEPTH}"
        if output.quant != self.fixed_wide_output:
            return "its int16 output scale is not 1/32768"
        params = self.lower(node, graph, Dialect.TFLM)
        assert isinstance(params, WideSoftmaxParams)
        if scaling_overflows(2 * MAX_WIDE_INPUT, params.shift):
            return "its input scale is so large that rescaling overflows int32"
        return None


OPERATOR = Softmax()
