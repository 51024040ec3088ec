"""What an operator is, and the table of all of them.

An operator lives in ``edgecnn/ops/<op>.py`` as one `Operator` object named ``OPERATOR``; this
module finds it there, so a new operator edits nothing. The same stem names its other parts:
``edgecnn/frontends/ops`` (how the front ends spell it), ``firmware_export/ops`` (its TFLite
encoding and its C call), ``firmware_export/kernels`` (its C) and ``tests/ops`` (its cases).
"""

from __future__ import annotations

import enum
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.fixedpoint import code_limits, round_half_away
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, QuantParams, Shape
from edgecnn.windows import RowWindow

A = TypeVar("A", bound=Attributes)
P = TypeVar("P")


class Dialect(enum.Enum):
    """A runtime's way of computing. TFLM is what boards run and what parity means.

    The others differ from it in ways that were traced to a line of their source. Lowering under
    a dialect predicts that runtime's bytes exactly, so it too is checked with zero tolerance.
    """

    TFLM = "tflm"
    TFLITE = "tflite"
    LITERT = "litert"


def in_both(difference: str) -> dict[Dialect, str]:
    """A difference that tflite-runtime and LiteRT have in common."""
    return dict.fromkeys((Dialect.TFLITE, Dialect.LITERT), difference)


class OutputRange(enum.Enum):
    """Where the scale and zero point of an operator's output come from."""

    CALIBRATED = "calibrated"
    SAME_AS_INPUT = "same as input"
    #: All inputs and outputs have one range, the union of theirs.
    SHARED = "shared with all inputs"
    FIXED = "fixed"


class Operator(Generic[A, P]):
    """The meaning of one operator: shapes, floats, integers, and how it is quantized.

    Subclasses set ``attributes`` and override what applies. Arrays have the batch in their
    first dimension, which may be larger than the 1 of the graph. A float-only operator
    (``is_float_only``) is removed by the passes before quantization and has no `lower`.
    """

    attributes: ClassVar[type[Attributes]] = Attributes
    summary: ClassVar[str] = ""
    is_float_only: ClassVar[bool] = False
    #: One value of the output depends on the same-index value of each activation input only.
    is_elementwise: ClassVar[bool] = False
    #: The operator can apply a fused activation, in a field ``activation`` of its attributes.
    fuses_activation: ClassVar[bool] = False
    #: The output holds the bytes of the input, in the same order: no code, no memory.
    is_view: ClassVar[bool] = False

    #: What another runtime does otherwise than TFLite Micro, where `lower` depends on the dialect.
    differences: ClassVar[Mapping[Dialect, str]] = {}
    #: The same of int16, where int8 has no difference.
    wide_differences: ClassVar[Mapping[Dialect, str]] = {}

    #: Type of the outputs in an int8 graph: int8 with a scale, or plain int32 (indices).
    output_dtype: ClassVar[str] = INT8
    #: The operator can also compute from int16 to int16 activations: TFLite's 16x8 scheme.
    has_wide_form: ClassVar[bool] = False
    output_range: ClassVar[OutputRange] = OutputRange.CALIBRATED
    fixed_output: ClassVar[QuantParams | None] = None
    fixed_wide_output: ClassVar[QuantParams | None] = None
    #: Axis of the weights (input 1) that has one scale each; None where there are no weights.
    weights_axis: ClassVar[int | None] = None
    per_channel: ClassVar[bool] = False
    #: Inputs that are weights (where `weights_axis` is set), and the bias of each: the one that is
    #: in steps of the scale of input 0 times theirs.
    weight_biases: ClassVar[Mapping[int, int | None]] = {1: 2}
    #: The layer is a product of matrices: `columns` times `filters`, and a bias (input 2).
    sums_columns: ClassVar[bool] = False

    def infer_shapes(self, attributes: A, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of the outputs from the shapes of the inputs (``()`` for an absent one)."""
        raise NotImplementedError

    def evaluate_float(self, attributes: A, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """Compute float32 outputs from float32 inputs (None for an absent one)."""
        raise NotImplementedError

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> P:
        """Turn an int8 node into plain integers: all that the integer meaning needs.

        `UnsupportedError` must not come from here: `unsupported` is asked first.
        """
        raise NotImplementedError

    def evaluate_int(self, params: P, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Compute int8 outputs from int8 activation inputs; the definition of the bytes."""
        raise NotImplementedError

    def macs(self, attributes: A, shapes: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Multiply-accumulates of one inference."""
        return 0

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """Say why this node cannot be exported exactly, or None. Float and int8 graphs."""
        return None

    def incomparable(self, node: Node, graph: Graph, dialect: Dialect) -> str | None:
        """Say why a runtime of a dialect cannot be compared on this int8 node, or None."""
        return None

    def undefined(self, params: P, inputs: Sequence[Array]) -> Array | None:
        """Which samples the stock runtimes have no defined result for; None if there are none.

        ``inputs`` are (samples, *shape). Such samples stop a runtime, or give bytes that depend on
        its compiler, so parity leaves them out; `evaluate_int` and the C are defined for them.
        """
        return None

    def internal_values(self, attributes: A, inputs: Sequence[Array | None]) -> Mapping[str, Array]:
        """Values inside of the float operator whose range its quantization depends on, by name."""
        return {}

    def with_internal_ranges(self, attributes: A, ranges: Mapping[str, tuple[float, float]]) -> A:
        """Attributes of the int8 node, from the observed ranges of its `internal_values`."""
        return attributes

    def is_homogeneous(self, attributes: A) -> bool:
        """Whether ``op(a * x)`` is ``a * op(x)`` for every positive a, before fused activations.

        All activation inputs are scaled alike, and constants that are not slopes with them.
        """
        return False

    def columns(self, attributes: A, x: Array, weights_shape: Shape) -> Array:
        """The values of input 0 that the weights (input 1) multiply: (groups, rows, depth).

        A sum of output channel ``g * outputs + j`` is a row of group g times filter j of it, as
        `filters` has that; there is a row for each position of each sample. ``x`` is (N, ...),
        padded with 0. Of operators that say `sums_columns`.
        """
        raise NotImplementedError

    def filters(self, weights: Array, groups: int) -> Array:
        """The weights as (groups, outputs, depth), in the order of `columns`."""
        return weights.reshape(groups, len(weights) // groups, -1)

    def from_filters(self, filters: Array, weights_shape: Shape) -> Array:
        """What `filters` was given."""
        return filters.reshape(weights_shape)

    def permuted(self, attributes: A, permutation: tuple[int, ...]) -> A | None:
        """Attributes that do the same to inputs whose axes are in another order.

        With them, ``transpose(op(x), permutation)`` equals this operator, with ``attributes``,
        on ``transpose(x, permutation)``, for all of its activation inputs and outputs. None
        where there are none; the passes then write a transpose out.
        """
        return attributes if self.is_elementwise else None

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """How rows of the output, an image (1, H, W, C), depend on rows of the inputs.

        Of an int8 node; None where the operator cannot be computed row by row.
        """
        return RowWindow(node.attributes) if self.is_elementwise else None

    def keeps_samples_apart(self, attributes: A) -> bool:
        """Whether the first dimension is only a batch, so that many samples run at once."""
        return True


def _discover(package: str, attribute: str) -> dict[str, Any]:
    """Import each module of a package and collect one attribute, keyed by the module's stem."""
    parent = importlib.import_module(package)
    stems = sorted(info.name for info in pkgutil.iter_modules(parent.__path__))
    modules = {stem: importlib.import_module(f"{package}.{stem}") for stem in stems}
    return {stem: getattr(m, attribute) for stem, m in modules.items() if hasattr(m, attribute)}


discover: Callable[[str, str], dict[str, Any]] = functools.cache(_discover)


def operators() -> dict[str, Operator[Any, Any]]:
    """All operators by name."""
    return cast("dict[str, Operator[Any, Any]]", discover("edgecnn.ops", "OPERATOR"))


def operator(name: str) -> Operator[Any, Any]:
    """The operator of a node's ``op``."""
    try:
        return operators()[name]
    except KeyError:
        raise InvariantError(f"no operator is called '{name}'") from None


def same_quantization_problem(first: QuantParams | None, second: QuantParams | None) -> str | None:
    """Say so where input and output of an operator that only moves values differ in scale."""
    return None if first == second else "its input and output differ in scale or zero point"


# --- fused activations ------------------------------------------------------------------------

#: Real bounds of the activations that a kernel can apply while it writes its output.
ACTIVATION_BOUNDS: dict[str, tuple[float, float]] = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def apply_activation(activation: str, x: Array) -> Array:
    """Clamp floats to the bounds of an activation."""
    low, high = ACTIVATION_BOUNDS[activation]
    return x if activation == "none" else np.clip(x, np.float32(low), np.float32(high))


def activation_limits(
    activation: str, scale: float, zero_point: int, dtype: str = INT8
) -> tuple[int, int]:
    """Integer clamp of a fused activation, as TFLite's ``CalculateActivationRangeQuantized``.

    The bound is divided by the scale in float32 and rounded half away from zero.
    """
    low, high = ACTIVATION_BOUNDS[activation]
    lowest, highest = code_limits(dtype)

    def quantized(bound: float, unbounded: int) -> int:
        if np.isinf(bound):
            return unbounded
        return zero_point + int(round_half_away(np.float32(bound) / np.float32(scale)))

    return max(lowest, quantized(low, lowest)), min(highest, quantized(high, highest))
