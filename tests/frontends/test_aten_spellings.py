"""ATen's many names for the same: in place, as copies, with numbers, of older torch versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.spelling import importers
from edgecnn.frontends.torch_export import load_module, load_pt2
from tests.frontends.torch_modules import Call, Shape, conv
from tests.torch_helpers import assert_equal_to_torch, check_module, random_inputs, randomize

IMAGE: Shape = (1, 3, 6, 6)
SEQUENCE: Shape = (1, 3, 16)
Function = Callable[..., Any]


def operator(name: str) -> Function:
    """The overload that torch has under a name such as ``relu.default``."""
    packet, _, overload = name.partition(".")
    found: Function = getattr(getattr(torch.ops.aten, packet), overload)
    return found


def after(layer: nn.Module, function: Function) -> nn.Module:
    return Call(lambda m, x: function(m.a(x)), a=layer)


def of_two(name: str) -> nn.Module:
    return Call(lambda m, x: operator(name)(m.a(x), m.b(x)), a=conv(3, 4), b=conv(3, 4))


def joined(name: str) -> nn.Module:
    return Call(lambda m, x: operator(name)([m.a(x), m.b(x)], 1), a=conv(3, 4), b=conv(3, 4))


def given(name: str, *arguments: Any, **options: Any) -> Function:
    return lambda x: operator(name)(x, *arguments, **options)


def one_of(name: str, *arguments: Any) -> Function:
    return lambda x: operator(name)(x, *arguments)[1]


def positive(name: str) -> Function:
    return lambda x: operator(name)(x.abs() + 0.5)


def names(kind: str, text: str) -> list[str]:
    return [f"{name}.{kind}" for name in text.split()]


ALONE = names(
    "default",
    "_to_copy abs_ absolute absolute_ ceil ceil_ celu_ contiguous cos_ detach_ erf_ exp2 exp2_ "
    "exp_ expm1_ floor_ gelu_ hardsigmoid_ hardswish_ lift_fresh_copy neg_ negative negative_ "
    "relu6_ round round_ selu_ sgn sgn_ sign_ sin_ special_erf special_expit square_",
)
POSITIVE = names("default", "log1p_ log_ reciprocal_ rsqrt_ sqrt_")
NUMBER = names(
    "Scalar", "add add_ div div_ mul mul_ multiply multiply_ pow_ sub sub_ subtract subtract_"
) + names("Tensor", "div_ divide divide_ true_divide")
TWO = names("Tensor", "multiply multiply_ rsub sub_ subtract subtract_")
DROPOUT = names(
    "default", "alpha_dropout alpha_dropout_ dropout_ feature_alpha_dropout feature_dropout_"
)
#: What else is given to an operator behind a convolution, whose output is (1, 4, 4, 4).
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "_adaptive_avg_pool2d.default": ([1, 1],),
    "_log_softmax.default": (1, False),
    "_unsafe_view.default": ([1, 64],),
    "_upsample_nearest_exact2d.default": ([8, 8],),
    "clamp_max.default": (0.3,),
    "clamp_max_.default": (0.3,),
    "clamp_min_.default": (0.3,),
    "clip.default": (-0.5, 2),
    "clip_.default": (-0.5, 2),
    "constant_pad_nd.default": ([1, 2, 2, 1],),
    "native_channel_shuffle.default": (2,),
    "reflection_pad2d.default": ([1, 2, 1, 0],),
    "replication_pad2d.default": ([1, 2, 1, 0],),
    "select_copy.int": (2, 1),
    "slice_copy.Tensor": (2, 1, 3),
    "swapaxes.default": (1, 2),
    "swapdims.default": (2, 3),
    "threshold_.default": (0.1, -2),
    "to.device": (torch.device("cpu"), torch.float32),
    "upsample_bilinear2d.default": ([8, 8], False),
    "upsample_nearest2d.default": ([8, 8],),
}
PARTS: dict[str, tuple[Any, ...]] = {
    "split.sizes": ([1, 3], 1),
    "split_with_sizes_copy.default": ([1, 3], 1),
    "unbind.int": (1,),
}
IMAGES: dict[str, nn.Module] = {
    **{name: after(conv(3, 4), given(name)) for name in ALONE},
    **{name: after(conv(3, 4), positive(name)) for name in POSITIVE},
    **{name: after(conv(3, 4), given(name, 3)) for name in NUMBER},
    **{name: after(conv(3, 4), given(name, 0.5, False)) for name in DROPOUT},
    **{name: after(conv(3, 4), given(name, *more)) for name, more in ARGUMENTS.items()},
    **{name: after(conv(3, 4), one_of(name, *more)) for name, more in PARTS.items()},
    **{name: of_two(name) for name in (*TWO, "fmax.default", "fmin.default", "max.other")},
    **{name: joined(name) for name in ("concat.default", "concatenate.default")},
    **{
        name: after(conv(3, 4), lambda x, name=name: operator(name)(x[:, :, :1], [1, 4, 4, 4]))
        for name in ("broadcast_to.default", "expand_copy.default")
    },
    "_prelu_kernel.default": Call(
        lambda m, x: operator("_prelu_kernel.default")(m.a(x), m.p.weight.reshape(1, 4, 1, 1)),
        a=conv(3, 4), p=nn.PReLU(4),
    ),
    "t.default": after(conv(3, 4), lambda x: operator("t.default")(x.flatten(2).squeeze(0))),
    "to.dtype_layout": after(conv(3, 4), given("to.dtype_layout", dtype=torch.float32)),
}  # fmt: skip
SEQUENCES: dict[str, Function] = {
    "max_pool1d_with_indices.default": lambda x: operator("max_pool1d_with_indices.default")(
        x, [2], [2]
    )[0],
    "reflection_pad1d.default": given("reflection_pad1d.default", [1, 2]),
    "replication_pad1d.default": given("replication_pad1d.default", [1, 2]),
}
CASES: dict[str, tuple[nn.Module, Shape]] = {
    **{name: (module, IMAGE) for name, module in IMAGES.items()},
    **{name: (after(nn.Conv1d(3, 4, 3), f), SEQUENCE) for name, f in SEQUENCES.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name: str) -> None:
    module, shape = CASES[name]
    program = torch.export.export(module.eval(), random_inputs([shape]))
    assert operator(name) in {node.target for node in program.graph.nodes}
    check_module(module, shape)


#: An operator of ExecuTorch's, which torch does not have by itself.
FOREIGN = {"_to_dim_order_copy.default"}


@pytest.mark.parametrize("name", sorted(importers().aten.keys() - FOREIGN))
def test_torch_has_the_operator(name: str) -> None:
    assert callable(operator(name))


@pytest.mark.parametrize("name", ["mean.default", "sum.default", "squeeze.default"])
def test_the_batch_must_stay(name: str) -> None:
    def reduced(x: Tensor) -> Tensor:
        return operator(name)(x) * 2

    with pytest.raises(UnsupportedError, match=r"the batch \(name the dimensions"):
        load_module(after(conv(3, 4), reduced), random_inputs([IMAGE]), "net")


def test_squeezing_a_dynamic_batch_keeps_it(tmp_path: Path) -> None:
    layers = conv(3, 4, 6), nn.Linear(4, 5)
    module = Call(lambda m, x: m.b(operator("squeeze.default")(m.a(x))), a=layers[0], b=layers[1])
    inputs = random_inputs([(2, *IMAGE[1:])])
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(randomize(module), inputs, dynamic_shapes=(dynamic,))
    torch.export.save(program, tmp_path / "net.pt2")
    assert_equal_to_torch(load_pt2(tmp_path / "net.pt2", "net"), module, inputs)
