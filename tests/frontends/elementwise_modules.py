"""Small torch modules of elementwise functions, and the operators that each becomes."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know
from torch import Tensor, nn

from tests.frontends.torch_modules import IMAGE, Call, Shape, conv


class SqueezeExcite(nn.Module):
    """Channels weighted by what their means say."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = conv(4, 2, 1), conv(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.up(weights))


def after_conv(function: object) -> nn.Module:
    return Call(lambda m, x: function(m.c(x)), c=conv(3, 4))  # type: ignore[operator]


def positive(function: object) -> nn.Module:
    return Call(lambda m, x: function(m.c(x).abs() + 0.5), c=conv(3, 4))  # type: ignore[operator]


#: One function after a convolution: one node for it.
FUNCTIONS: dict[str, tuple[nn.Module, str]] = {
    "sigmoid": (nn.Sequential(conv(3, 4), nn.Sigmoid()), "sigmoid"),
    "sigmoid_in_place": (after_conv(torch.sigmoid_), "sigmoid"),
    "tanh": (nn.Sequential(conv(3, 4), nn.Tanh()), "tanh"),
    "tanh_in_place": (after_conv(torch.tanh_), "tanh"),
    "silu": (nn.Sequential(conv(3, 4), nn.SiLU()), "table"),
    "silu_in_place": (nn.Sequential(conv(3, 4), nn.SiLU(inplace=True)), "table"),
    "silu_by_hand": (after_conv(lambda x: x * torch.sigmoid(x)), "table"),
    "mish": (nn.Sequential(conv(3, 4), nn.Mish()), "table"),
    "mish_in_place": (nn.Sequential(conv(3, 4), nn.Mish(inplace=True)), "table"),
    "mish_by_hand": (after_conv(lambda x: x * torch.tanh(F.softplus(x))), "table"),
    "gelu": (nn.Sequential(conv(3, 4), nn.GELU()), "table"),
    "gelu_tanh": (nn.Sequential(conv(3, 4), nn.GELU(approximate="tanh")), "table"),
    "gelu_by_hand": (
        after_conv(lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))), "table",
    ),
    "elu": (nn.Sequential(conv(3, 4), nn.ELU(0.7)), "table"),
    "elu_in_place": (nn.Sequential(conv(3, 4), nn.ELU(inplace=True)), "table"),
    "selu": (nn.Sequential(conv(3, 4), nn.SELU()), "table"),
    "celu": (nn.Sequential(conv(3, 4), nn.CELU(1.3)), "table"),
    "softplus": (nn.Sequential(conv(3, 4), nn.Softplus(2.0)), "table"),
    "softsign": (nn.Sequential(conv(3, 4), nn.Softsign()), "table"),
    "softshrink": (nn.Sequential(conv(3, 4), nn.Softshrink()), "table"),
    "hardshrink": (nn.Sequential(conv(3, 4), nn.Hardshrink()), "table"),
    "tanhshrink": (nn.Sequential(conv(3, 4), nn.Tanhshrink()), "table"),
    "threshold": (nn.Sequential(conv(3, 4), nn.Threshold(0.1, -2)), "table"),
    "log_sigmoid": (nn.Sequential(conv(3, 4), nn.LogSigmoid()), "table"),
    "hardswish": (nn.Sequential(conv(3, 4), nn.Hardswish()), "hard_swish"),
    "hardswish_by_hand": (after_conv(lambda x: x * F.relu6(x + 3) / 6), "table"),
    "hardsigmoid": (nn.Sequential(conv(3, 4), nn.Hardsigmoid()), "table"),
    "hardsigmoid_by_hand": (after_conv(lambda x: F.relu6(x + 3) / 6), "mul"),
    "leaky_relu": (nn.Sequential(conv(3, 4), nn.LeakyReLU(0.2)), "leaky_relu"),
    "leaky_relu_in_place": (nn.Sequential(conv(3, 4), nn.LeakyReLU(0.2, True)), "leaky_relu"),
    "leaky_relu_falling": (nn.Sequential(conv(3, 4), nn.LeakyReLU(-0.2)), "table"),
    "prelu": (nn.Sequential(conv(3, 4), nn.PReLU(4)), "prelu"),
    "prelu_of_one_falling_slope": (nn.Sequential(conv(3, 4), nn.PReLU()), "table"),
    "hardtanh": (nn.Sequential(conv(3, 4), nn.Hardtanh()), "table"),
    "clamp": (after_conv(lambda x: x.clamp(-0.5, 2)), "table"),
    "clamp_high": (after_conv(lambda x: x.clamp(max=0.3)), "table"),
    "clamp_min": (after_conv(lambda x: x.clamp_min(-0.3)), "table"),
    "maximum_with_number": (after_conv(lambda x: torch.maximum(x, torch.tensor(0.3))), "table"),
    "minimum_with_number": (after_conv(lambda x: torch.minimum(torch.tensor(0.3), x)), "table"),
    "abs": (after_conv(torch.abs), "table"),
    "neg": (after_conv(lambda x: -x), "table"),
    "exp": (after_conv(lambda x: torch.exp(0.1 * x)), "table"),
    "square": (after_conv(torch.square), "table"),
    "cube": (after_conv(lambda x: x**3), "table"),
    "power_of_number": (after_conv(lambda x: 1.1**x), "table"),
    "sin": (after_conv(torch.sin), "table"),
    "cos": (after_conv(torch.cos), "table"),
    "erf": (after_conv(torch.erf), "table"),
    "sign": (after_conv(torch.sign), "table"),
    "floor": (after_conv(lambda x: torch.floor(x) + 0.25 * x), "table"),
    "expm1": (after_conv(lambda x: torch.expm1(0.1 * x)), "table"),
    "sqrt": (positive(torch.sqrt), "table"),
    "rsqrt": (positive(torch.rsqrt), "table"),
    "log": (positive(torch.log), "table"),
    "log1p": (positive(torch.log1p), "table"),
    "reciprocal": (positive(lambda x: 3 / x), "table"),
    "root_by_power": (positive(lambda x: x**0.5), "table"),
    "fractional_power": (positive(lambda x: x**1.5), "table"),
    "minus_number": (after_conv(lambda x: x - 2), "sub"),
    "number_minus": (after_conv(lambda x: 2 - x), "sub"),
    "times_number": (after_conv(lambda x: x * 2), "mul"),
    "over_number": (after_conv(lambda x: x / 3), "mul"),
    "chain": (after_conv(lambda x: torch.tanh(2 * torch.sigmoid(x) - 1) * x + 1), "table"),
}  # fmt: skip

#: Networks of two operands or more: how many nodes of each operator they become.
NETWORKS: dict[str, tuple[nn.Module, list[Shape], dict[str, int]]] = {
    "squeeze_excite": (
        nn.Sequential(conv(3, 4), SqueezeExcite(), nn.ReLU()), [IMAGE], {"mul": 1, "sigmoid": 1},
    ),
    "multiply": (
        Call(lambda m, x: m.a(x) * m.b(x), a=conv(3, 4), b=conv(3, 4)), [IMAGE], {"mul": 1},
    ),
    "multiply_in_place": (
        Call(lambda m, x: m.a(x).mul_(m.b(x)), a=conv(3, 4), b=conv(3, 4)), [IMAGE], {"mul": 1},
    ),
    "multiply_relu": (
        Call(lambda m, x: F.relu(m.a(x) * m.b(x)), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"mul": 1, "relu": 0},
    ),
    "subtract": (
        Call(lambda m, x: m.a(x) - m.b(x), a=conv(3, 4), b=conv(3, 4)), [IMAGE], {"sub": 1},
    ),
    "subtract_scaled": (
        Call(lambda m, x: torch.sub(m.a(x), m.b(x), alpha=2), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"sub": 1, "mul": 1},
    ),
    "add_scaled": (
        Call(lambda m, x: torch.add(m.a(x), m.b(x), alpha=3), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"add": 1, "mul": 1},
    ),
    "divide": (
        Call(lambda m, x: m.a(x) / (m.b(x).abs() + 1), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"mul": 1, "table": 1},
    ),
    "channel_scale": (
        Call(lambda m, x: m.d(m.c(x) * m.c.bias.view(-1, 1, 1)), c=conv(3, 4), d=conv(4, 2)),
        [IMAGE], {"mul": 1},
    ),
    "channel_offset_before": (
        Call(lambda m, x: m.d(m.c.bias.view(1, -1, 1, 1) - m.c(x)), c=conv(3, 4), d=conv(4, 2)),
        [IMAGE], {"sub": 1},
    ),
    "column_scale": (
        Call(lambda m, x: m.d(m.c(x) * m.d.weight[0, 0, 0, :1]), c=conv(3, 4), d=conv(4, 2)),
        [IMAGE], {"mul": 1},
    ),
    "maximum": (
        Call(lambda m, x: torch.maximum(m.a(x), m.b(x)), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"maximum": 1},
    ),
    "minimum": (
        Call(lambda m, x: torch.min(m.a(x), m.b(x)), a=conv(3, 4), b=conv(3, 4)),
        [IMAGE], {"minimum": 1},
    ),
    "prelu_then_conv": (nn.Sequential(conv(3, 4), nn.PReLU(4), conv(4, 2)), [IMAGE], {"prelu": 1}),
    "prelu_of_vectors": (nn.Sequential(nn.Linear(7, 4), nn.PReLU(4)), [(1, 7)], {"prelu": 1}),
    "a_value_read_twice": (
        Call(lambda m, x: m.b((y := torch.sigmoid(m.a(x)) * 2) + 1) + y,
             a=conv(3, 4), b=conv(4, 4, 1)),
        [IMAGE], {"table": 1, "add": 2},
    ),
}  # fmt: skip
