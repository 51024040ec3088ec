"""The functions of `edgecnn.functions` in torch, so that they have gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from edgecnn import functions
from edgecnn.functions import SELU_ALPHA, SELU_SCALE


def _elu(x: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    negative = scale * alpha * torch.expm1(torch.clamp(x, max=0) * input_scale)
    return torch.where(x > 0, scale * x, negative)


def _flat(name: str, x: Tensor) -> Tensor:
    """A function of steps, which has no gradient."""
    values = functions.compute(name, x.detach().cpu().numpy())
    return torch.from_numpy(values).to(x)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "abs": torch.abs,
    "ceil": partial(_flat, "ceil"),
    "celu": lambda x, alpha=1.0: functional.celu(x, alpha),
    "clip": lambda x, low=-math.inf, high=math.inf: torch.clamp(x, low, high),
    "cos": torch.cos,
    "elu": _elu,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "floor": partial(_flat, "floor"),
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "hard_sigmoid": lambda x, slope=1 / 6, offset=0.5: torch.clamp(slope * x + offset, 0, 1),
    "hard_swish": functional.hardswish,
    "identity": lambda x: x,
    "leaky_relu": lambda x, alpha=0.01: torch.where(x > 0, x, alpha * x),
    "log": torch.log,
    "log1p": torch.log1p,
    "log_sigmoid": functional.logsigmoid,
    "mish": functional.mish,
    "neg": torch.neg,
    "power": torch.pow,
    "power_of": lambda x, base=math.e: torch.pow(base, x),
    "reciprocal": torch.reciprocal,
    "round": partial(_flat, "round"),
    "rsqrt": torch.rsqrt,
    "selu": lambda x, alpha=SELU_ALPHA, gamma=SELU_SCALE: _elu(x, alpha, gamma),
    "sigmoid": torch.sigmoid,
    "sign": partial(_flat, "sign"),
    "silu": lambda x, alpha=1.0: x * torch.sigmoid(alpha * x),
    "sin": torch.sin,
    "softplus": lambda x, beta=1.0, threshold=math.inf: functional.softplus(x, beta, threshold),
    "softshrink": lambda x, bound=0.5: functional.softshrink(x, bound),
    "softsign": functional.softsign,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
    "hardshrink": lambda x, bound=0.5: functional.hardshrink(x, bound),
    "tanhshrink": functional.tanhshrink,
    "threshold": lambda x, at=0.0, value=0.0: functional.threshold(x, at, value),
}


def known() -> set[str]:
    """The names of all functions."""
    return set(_FUNCTIONS)


def compute(name: str, x: Tensor, parameters: tuple[float, ...] = ()) -> Tensor:
    """Apply a function to a tensor, in the tensor's own type."""
    return _FUNCTIONS[name](x, *parameters)
