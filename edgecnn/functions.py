"""Functions of one real variable, by name: what a table of 256 bytes can hold.

All compute in float64 on arrays. Outside of its domain a function gives NaN; where it has a pole
it gives an infinity, which a table saturates to the end of the output's range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.fixedpoint import round_half_even
from edgecnn.ir import Array

#: Constants of "Self-Normalizing Neural Networks" (Klambauer et al., 2017).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function."""
    result: Array = np.asarray(_erf(x), np.float64)
    return result


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    result: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return result


def softplus(x: Array, beta: float = 1.0, threshold: float = np.inf) -> Array:
    """log(1 + exp(beta x)) / beta; x itself where beta x is over the threshold, as in torch."""
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def _expm1(x: Array) -> Array:
    """exp(x) - 1 of negative values; of others that of 0, which cannot overflow."""
    result: Array = np.expm1(np.minimum(x, 0))
    return result


def elu(x: Array, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Array:
    """Torch's three-parameter ELU."""
    return np.where(x > 0, scale * x, scale * alpha * _expm1(x * input_scale))


def gelu_tanh(x: Array) -> Array:
    """GELU by the tanh approximation (Hendrycks and Gimpel, 2016)."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


@dataclass(frozen=True)
class Function:
    """A function, and what it asks of its argument.

    ``has_pole`` says that it goes to infinity at 0, with a sign that depends on the side.
    """

    compute: Callable[..., Array]
    has_pole: bool = False


FUNCTIONS: dict[str, Function] = {
    "abs": Function(np.abs),
    "ceil": Function(np.ceil),
    "celu": Function(
        lambda x, alpha=1.0: np.maximum(x, 0) + np.minimum(0, alpha * _expm1(x / alpha))
    ),
    "clip": Function(lambda x, low=-np.inf, high=np.inf: np.minimum(np.maximum(x, low), high)),
    "cos": Function(np.cos),
    "elu": Function(elu),
    "erf": Function(erf),
    "exp": Function(np.exp),
    "exp2": Function(np.exp2),
    "expm1": Function(np.expm1),
    "floor": Function(np.floor),
    "gelu": Function(lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    "gelu_tanh": Function(gelu_tanh),
    "hard_sigmoid": Function(lambda x, slope=1 / 6, offset=0.5: np.clip(slope * x + offset, 0, 1)),
    "hard_swish": Function(lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "identity": Function(lambda x: x),
    "leaky_relu": Function(lambda x, alpha=0.01: np.where(x > 0, x, alpha * x)),
    "log": Function(np.log),
    "log1p": Function(np.log1p),
    "log_sigmoid": Function(lambda x: -softplus(-x)),
    "mish": Function(lambda x: x * np.tanh(softplus(x))),
    "neg": Function(np.negative),
    "power": Function(np.power, has_pole=True),
    "power_of": Function(lambda x, base=math.e: np.power(base, x)),
    "reciprocal": Function(lambda x: 1 / x, has_pole=True),
    "round": Function(round_half_even),
    "rsqrt": Function(lambda x: 1 / np.sqrt(x)),
    "selu": Function(
        lambda x, alpha=SELU_ALPHA, gamma=SELU_SCALE: np.where(
            x > 0, gamma * x, gamma * alpha * _expm1(x)
        )
    ),
    "sigmoid": Function(sigmoid),
    "sign": Function(np.sign),
    "silu": Function(lambda x, alpha=1.0: x * sigmoid(alpha * x)),
    "sin": Function(np.sin),
    "softplus": Function(softplus),
    "softshrink": Function(lambda x, bound=0.5: np.sign(x) * np.maximum(np.abs(x) - bound, 0)),
    "softsign": Function(lambda x: x / (1 + np.abs(x))),
    "sqrt": Function(np.sqrt),
    "square": Function(np.square),
    "tanh": Function(np.tanh),
    "hardshrink": Function(lambda x, bound=0.5: np.where(np.abs(x) > bound, x, 0)),
    "tanhshrink": Function(lambda x: x - np.tanh(x)),
    "threshold": Function(lambda x, at=0.0, value=0.0: np.where(x > at, x, value)),
}


def compute(name: str, x: Array, parameters: tuple[float, ...] = ()) -> Array:
    """Apply a function to an array, in float64."""
    if name not in FUNCTIONS:
        raise InvariantError(f"no function is called '{name}'")
    with np.errstate(all="ignore"):
        result = FUNCTIONS[name].compute(np.asarray(x, np.float64), *parameters)
    return np.asarray(result, np.float64)


def goes_to_infinity_at_zero(name: str, parameters: tuple[float, ...] = ()) -> bool:
    """Whether a function has a pole at 0."""
    if not FUNCTIONS[name].has_pole:
        return False
    return name != "power" or parameters[0] < 0
