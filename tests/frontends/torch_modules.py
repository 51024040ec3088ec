"""Small torch modules, one or more for each importer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know
from torch import Tensor, nn

Shape = tuple[int, ...]


class Call(nn.Module):
    """A function on tensors as a module; layers that it uses are given by name."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def conv(i: int, o: int, k: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(i, o, k, **options)


def _double_pool(m: Any, x: Tensor) -> Tensor:
    y, _ = F.max_pool2d(m.conv(x), 2, return_indices=True)
    return y


def _write_through_a_view(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    y = m.conv(x)
    seen = y.view(1, -1)
    y.relu_()
    return m.fc(seen), y


def _use_after_write(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    z = torch.relu_(y)
    return y + m.conv2(z)


def _no_grad_inside(m: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = m.conv(x)
    return torch.relu(y)


def _residual(m: Any, x: Tensor) -> Tensor:
    y = m.bn(m.conv(x))
    y += x
    return F.relu(y, inplace=True)


def _numpy_style(m: Any, x: Tensor) -> Tensor:
    return m.fc(m.conv(x).permute(0, 2, 3, 1).reshape(x.size(0), -1))


IMAGE: Shape = (1, 3, 9, 7)

#: Ordinary networks: no transpose may be left.
CASES: dict[str, tuple[nn.Module, list[Shape]]] = {
    "conv": (conv(3, 5), [IMAGE]),
    "conv_no_bias": (conv(3, 5, bias=False), [IMAGE]),
    "conv_stride": (conv(3, 4, 3, stride=2, padding=1), [IMAGE]),
    "conv_uneven": (conv(3, 4, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1)), [IMAGE]),
    "conv_same_even_kernel": (conv(3, 4, (4, 2), padding="same"), [IMAGE]),
    "conv_same_dilated": (conv(3, 4, 3, padding="same", dilation=2), [IMAGE]),
    "conv_valid": (conv(3, 4, 3, padding="valid", stride=2), [IMAGE]),
    "conv_groups": (conv(6, 4, 3, groups=2), [(1, 6, 5, 6)]),
    "conv_depthwise": (conv(6, 6, 3, groups=6, padding=1), [(1, 6, 5, 6)]),
    "conv_depth_multiplier": (conv(4, 12, 3, groups=4, stride=2), [(1, 4, 7, 6)]),
    "conv_one_channel": (conv(1, 4, 3), [(1, 1, 5, 6)]),
    "conv_functional": (
        Call(lambda m, x: F.conv2d(x, m.c.weight, None, padding=(1, 0)), c=conv(3, 4)), [IMAGE],
    ),
    "conv_shared": (
        Call(lambda m, x: m.c(torch.relu(m.c(x))), c=conv(3, 3, padding=1)), [IMAGE],
    ),
    "linear": (nn.Linear(7, 4), [(1, 7)]),
    "linear_rank_3": (nn.Linear(7, 4), [(1, 3, 7)]),
    "linear_no_bias": (nn.Linear(7, 4, bias=False), [(1, 7)]),
    "addmm": (
        Call(lambda m, x: torch.addmm(m.fc.bias, x, m.fc.weight.t()), fc=nn.Linear(7, 4)),
        [(1, 7)],
    ),
    "mm": (Call(lambda m, x: torch.mm(x, m.fc.weight.t()), fc=nn.Linear(7, 4)), [(1, 7)]),
    "matmul": (Call(lambda m, x: x @ m.fc.weight.T, fc=nn.Linear(7, 4)), [(1, 7)]),
    "batch_norm_alone": (nn.BatchNorm2d(3), [IMAGE]),
    "batch_norm_after_conv": (nn.Sequential(conv(3, 4), nn.BatchNorm2d(4)), [IMAGE]),
    "batch_norm_after_biasless": (
        nn.Sequential(conv(3, 4, bias=False), nn.BatchNorm2d(4), nn.ReLU()), [IMAGE],
    ),
    "batch_norm_after_depthwise": (
        nn.Sequential(conv(3, 6, groups=3), nn.BatchNorm2d(6)), [IMAGE],
    ),
    "batch_norm_before_conv": (
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), conv(3, 4, padding=1)), [IMAGE],
    ),
    "batch_norm_not_affine": (
        nn.Sequential(conv(3, 4), nn.BatchNorm2d(4, affine=False, eps=0.1)), [IMAGE],
    ),
    "batch_norm_after_linear": (nn.Sequential(nn.Linear(7, 4), nn.BatchNorm1d(4)), [(1, 7)]),
    "batch_norm_rank_2": (nn.BatchNorm1d(7), [(1, 7)]),
    "batch_norm_after_flatten": (
        nn.Sequential(
            conv(3, 4), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(140), nn.Linear(140, 3)
        ),
        [IMAGE],
    ),
    "batch_norm_of_shared_conv": (
        Call(
            lambda m, x: m.a(m.c(x)) + m.b(m.c(torch.relu(x))),
            c=conv(3, 4), a=nn.BatchNorm2d(4), b=nn.BatchNorm2d(4),
        ),
        [IMAGE],
    ),
    "batch_norm_with_other_reader": (
        Call(lambda m, x: m.b(m.c(x)) + m.c(x), c=conv(3, 4), b=nn.BatchNorm2d(4)), [IMAGE],
    ),
    "relu": (nn.Sequential(conv(3, 4), nn.ReLU()), [IMAGE]),
    "relu_in_place": (nn.Sequential(conv(3, 4), nn.ReLU(inplace=True)), [IMAGE]),
    "relu_of_the_input_in_place": (nn.Sequential(nn.ReLU(inplace=True), conv(3, 4)), [IMAGE]),
    "relu6": (nn.Sequential(conv(3, 4), nn.ReLU6()), [IMAGE]),
    "relu6_in_place": (nn.Sequential(conv(3, 4), nn.ReLU6(inplace=True)), [IMAGE]),
    "hardtanh": (nn.Sequential(conv(3, 4), nn.Hardtanh(0, 6)), [IMAGE]),
    "clamp": (Call(lambda m, x: m.c(x).clamp(0, 6), c=conv(3, 4)), [IMAGE]),
    "clamp_in_place": (Call(lambda m, x: m.c(x).clamp_(0, 6), c=conv(3, 4)), [IMAGE]),
    "clamp_min": (Call(lambda m, x: m.c(x).clamp_min(0), c=conv(3, 4)), [IMAGE]),
    "clamp_low": (Call(lambda m, x: m.c(x).clamp(min=0), c=conv(3, 4)), [IMAGE]),
    "relu_alone": (nn.ReLU(), [IMAGE]),
    "max_pool": (nn.MaxPool2d(2), [IMAGE]),
    "max_pool_padded": (nn.MaxPool2d(3, 2, 1), [IMAGE]),
    "max_pool_ceil": (nn.MaxPool2d(2, 2, ceil_mode=True), [IMAGE]),
    "max_pool_ceil_padded": (nn.MaxPool2d(3, 2, 1, ceil_mode=True), [(1, 3, 8, 6)]),
    "max_pool_ceil_drops_window": (nn.MaxPool2d(2, 3, 1, ceil_mode=True), [(1, 3, 7, 10)]),
    "max_pool_uneven": (nn.MaxPool2d((3, 2), (1, 2)), [IMAGE]),
    "max_pool_with_indices": (Call(_double_pool, conv=conv(3, 4)), [IMAGE]),
    "adaptive_max_pool": (nn.AdaptiveMaxPool2d(1), [IMAGE]),
    "adaptive_max_pool_divides": (nn.AdaptiveMaxPool2d((3, 2)), [(1, 3, 9, 8)]),
    "avg_pool": (nn.AvgPool2d(2), [IMAGE]),
    "avg_pool_overlap": (nn.AvgPool2d((3, 2), (2, 1)), [IMAGE]),
    "avg_pool_counts_padding": (nn.AvgPool2d(3, 2, 1), [IMAGE]),
    "avg_pool_not_counted": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), [IMAGE]),
    "avg_pool_ceil": (nn.AvgPool2d(3, 2, ceil_mode=True), [(1, 3, 8, 6)]),
    "avg_pool_ceil_counts_padding": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), [(1, 3, 8, 6)]),
    "avg_pool_global": (nn.AvgPool2d((9, 7)), [IMAGE]),
    "adaptive_avg_pool": (nn.AdaptiveAvgPool2d(1), [IMAGE]),
    "adaptive_avg_pool_divides": (nn.AdaptiveAvgPool2d((3, 7)), [IMAGE]),
    "mean_image": (Call(lambda m, x: x.mean((2, 3))), [IMAGE]),
    "mean_image_kept": (Call(lambda m, x: x.mean((-1, -2), keepdim=True)), [IMAGE]),
    "mean_channels": (Call(lambda m, x: m.c(x).mean(1), c=conv(3, 4)), [IMAGE]),
    "mean_height": (Call(lambda m, x: m.c(x).mean(2, keepdim=True), c=conv(3, 4)), [IMAGE]),
    "mean_flattened_image": (
        Call(lambda m, x: m.fc(m.c(x).flatten(2).mean(-1)), c=conv(3, 4), fc=nn.Linear(4, 3)),
        [IMAGE],
    ),
    "flatten_linear": (nn.Sequential(conv(3, 4), nn.Flatten(), nn.Linear(140, 3)), [IMAGE]),
    "flatten_relu_linear": (
        nn.Sequential(conv(3, 4), nn.Flatten(), nn.ReLU(), nn.Dropout(), nn.Linear(140, 3)),
        [IMAGE],
    ),
    "flatten_add_linear": (
        Call(
            lambda m, x: m.fc(m.c(x).flatten(1) + m.fc.weight[0]),
            c=conv(3, 4), fc=nn.Linear(140, 3),
        ),
        [IMAGE],
    ),
    "flatten_input": (nn.Sequential(nn.Flatten(), nn.Linear(189, 3)), [IMAGE]),
    "flatten_twice_used": (
        Call(
            lambda m, x: m.fc(m.c(x).flatten(1)) + m.fc(torch.relu(m.c(x)).flatten(1)),
            c=conv(3, 4), fc=nn.Linear(140, 3),
        ),
        [IMAGE],
    ),
    "view_with_size": (
        Call(lambda m, x: m.fc(m.c(x).view(x.size(0), -1)), c=conv(3, 4), fc=nn.Linear(140, 3)),
        [IMAGE],
    ),
    "reshape_in_steps": (
        Call(
            lambda m, x: m.fc(m.c(x).reshape(1, 4, -1).unsqueeze(1).reshape(1, -1)),
            c=conv(3, 4), fc=nn.Linear(140, 3),
        ),
        [IMAGE],
    ),
    "unflatten": (nn.Sequential(nn.Linear(7, 6), nn.Unflatten(1, (2, 3))), [(1, 7)]),
    "squeeze": (
        Call(
            lambda m, x: m.fc(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(2)),
            fc=nn.Linear(3, 4),
        ),
        [IMAGE],
    ),
    "squeeze_dims": (
        Call(lambda m, x: m.fc(x.mean((2, 3), True).squeeze((2, 3))), fc=nn.Linear(3, 4)),
        [IMAGE],
    ),
    "view_to_image": (
        Call(lambda m, x: m.c(m.fc(x).view(1, 4, 1, 1)), fc=nn.Linear(7, 4), c=conv(4, 3, 1)),
        [(1, 7)],
    ),
    "flatten_and_back": (
        Call(
            lambda m, x: m.d(torch.relu(m.c(x).flatten(1)).view(1, 4, 7, 5)),
            c=conv(3, 4), d=conv(4, 2),
        ),
        [IMAGE],
    ),
    "keywords": (
        Call(
            lambda m, x: torch.softmax(
                F.avg_pool2d(
                    F.max_pool2d(input=m.c(x), kernel_size=2, padding=1),
                    count_include_pad=False, kernel_size=3, padding=1, stride=1,
                ).mean(keepdim=False, dim=(2, 3)),
                dim=1, dtype=torch.float32,
            ),
            c=conv(3, 4),
        ),
        [IMAGE],
    ),
    "tensor_in_the_code": (
        Call(lambda m, x: m.c(x) + torch.tensor([1.0, 2, 3, 4]).view(4, 1, 1), c=conv(3, 4)),
        [IMAGE],
    ),
    "numpy_order": (Call(_numpy_style, conv=conv(3, 4), fc=nn.Linear(140, 3)), [IMAGE]),
    "permute_there_and_back": (
        Call(
            lambda m, x: m.c2(torch.relu(m.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
            c=conv(3, 4), c2=conv(4, 2),
        ),
        [IMAGE],
    ),
    "movedim": (
        Call(lambda m, x: m.fc(m.c(x).movedim(1, -1)), c=conv(3, 4), fc=nn.Linear(4, 2)), [IMAGE],
    ),
    "nhwc_input": (Call(lambda m, x: m.c(x.permute(0, 3, 1, 2)), c=conv(3, 4)), [(1, 9, 7, 3)]),
    "add_branches": (
        Call(lambda m, x: m.c1(x) + m.c2(x), c1=conv(3, 4), c2=conv(3, 4)), [IMAGE],
    ),
    "add_number": (Call(lambda m, x: m.c(x) + 1.5, c=conv(3, 4)), [IMAGE]),
    "add_number_before": (Call(lambda m, x: 2 + m.c(x), c=conv(3, 4)), [IMAGE]),
    "add_channel_vector": (
        Call(lambda m, x: x + m.c.bias.view(-1, 1, 1), c=conv(3, 3)), [IMAGE],
    ),
    "add_constant_image": (
        Call(lambda m, x: m.c(x) + m.c.weight[:1, :, :, :1], c=conv(3, 3)), [(1, 3, 5, 4)],
    ),
    "add_pooled": (Call(lambda m, x: m.c(x) + x.mean((2, 3), True), c=conv(3, 3)), [IMAGE]),
    "add_in_place": (Call(_residual, conv=conv(3, 3, padding=1), bn=nn.BatchNorm2d(3)), [IMAGE]),
    "softmax": (nn.Sequential(nn.Linear(7, 4), nn.Softmax(-1)), [(1, 7)]),
    "softmax_channels": (nn.Sequential(conv(3, 4), nn.Softmax(1)), [IMAGE]),
    "pad_conv": (nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), conv(3, 4)), [IMAGE]),
    "pad_twice_conv": (nn.Sequential(nn.ZeroPad2d(1), nn.ZeroPad2d(1), conv(3, 4)), [IMAGE]),
    "pad_depthwise": (nn.Sequential(nn.ZeroPad2d(1), conv(3, 3, groups=3)), [IMAGE]),
    "pad_value": (nn.Sequential(nn.ConstantPad2d(1, 0.5), conv(3, 4)), [IMAGE]),
    "pad_channels": (Call(lambda m, x: m.c(F.pad(x, (0, 0, 0, 0, 1, 2))), c=conv(6, 4)), [IMAGE]),
    "pad_avg_pool": (nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, 2)), [IMAGE]),
    "pad_max_pool": (
        nn.Sequential(conv(3, 4), nn.ConstantPad2d(1, float("-inf")), nn.MaxPool2d(3, 2)), [IMAGE],
    ),
    "pad_zero_max_pool": (nn.Sequential(conv(3, 4), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)), [IMAGE]),
    "identities": (
        Call(
            lambda m, x: m.i(m.d(m.c(x))).contiguous().clone().detach().to(torch.float32).float(),
            c=conv(3, 4), d=nn.Dropout2d(), i=nn.Identity(),
        ),
        [IMAGE],
    ),
    "write_through_a_view": (
        Call(_write_through_a_view, conv=conv(3, 4), fc=nn.Linear(140, 3)), [IMAGE],
    ),
    "use_after_write": (
        Call(_use_after_write, conv=conv(3, 3), conv2=conv(3, 3, padding=1)), [IMAGE],
    ),
    "no_grad_inside": (Call(_no_grad_inside, conv=conv(3, 4)), [IMAGE]),
    "weight_norm": (nn.utils.parametrizations.weight_norm(conv(3, 4)), [IMAGE]),
    "two_inputs_two_outputs": (
        Call(lambda m, x, y: (m.c(x), m.fc(y)), c=conv(3, 4), fc=nn.Linear(5, 2)),
        [IMAGE, (1, 5)],
    ),
    "output_inside": (
        Call(lambda m, x: ((y := torch.relu(m.a(x))), m.b(y)), a=conv(3, 4), b=conv(4, 2)),
        [IMAGE],
    ),
}  # fmt: skip

#: Networks that need real transposes: how many are left.
TRANSPOSED: dict[str, tuple[nn.Module, list[Shape], int]] = {
    "flatten_is_output": (nn.Sequential(conv(3, 4), nn.Flatten()), [IMAGE], 1),
    "flatten_softmax": (
        nn.Sequential(conv(3, 4), nn.Flatten(), nn.Softmax(1)), [IMAGE], 1,
    ),
    "swap_height_and_width": (
        Call(lambda m, x: m.b(m.a(x).transpose(2, 3)), a=conv(3, 4), b=conv(4, 2)), [IMAGE], 1,
    ),
    "add_its_transpose": (
        Call(lambda m, x: m.b(m.a(x) + m.a(x).transpose(2, 3)), a=conv(3, 4), b=conv(4, 2)),
        [(1, 3, 6, 6)], 1,
    ),
    "vector_to_image": (
        Call(lambda m, x: m.c(m.fc(x).view(1, 2, 3, 4)), fc=nn.Linear(7, 24), c=conv(2, 3)),
        [(1, 7)], 1,
    ),
    "channel_shuffle": (
        Call(
            lambda m, x: m.b(
                F.max_pool2d(m.a(x), 1).view(1, 2, 2, 7, 5).transpose(1, 2).reshape(1, 4, 7, 5)
            ),
            a=conv(3, 4), b=conv(4, 2, groups=2),
        ),
        [IMAGE], 1,
    ),
    "channels_to_rows": (
        Call(lambda m, x: m.fc(m.c(x).flatten(2)), c=conv(3, 4), fc=nn.Linear(35, 2)), [IMAGE], 1,
    ),
    "transposed_matrix": (Call(lambda m, x: m.fc(x).transpose(1, 2), fc=nn.Linear(4, 3)),
                          [(1, 5, 4)], 0),
}  # fmt: skip
