"""Functions of tables are the same in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgecnn.functions import FUNCTIONS
from edgecnn.functions import compute as in_numpy
from edgecnn.qat.functions import compute, known

PARAMETERS: dict[str, tuple[float, ...]] = {
    "celu": (1.3,), "clip": (-0.5, 1.5), "elu": (0.7, 1.2, 0.9), "hard_sigmoid": (0.2, 0.4),
    "leaky_relu": (0.3,), "power": (3.0,), "power_of": (1.7,), "silu": (1.5,),
    "softplus": (2.0, 3.0), "softshrink": (0.3,), "hardshrink": (0.3,), "threshold": (0.1, -2.0),
}  # fmt: skip
POSITIVE = ("log", "log1p", "reciprocal", "rsqrt", "sqrt")


def test_none_is_missing() -> None:
    assert known() == set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("with_parameters", [False, True])
def test_values_are_the_same(name: str, with_parameters: bool) -> None:
    parameters = PARAMETERS.get(name, ()) if with_parameters or name == "power" else ()
    x = np.linspace(0.1, 4, 400) if name in POSITIVE else np.linspace(-4, 4, 401)
    tensor = torch.from_numpy(x).requires_grad_()
    got = compute(name, tensor, parameters)
    np.testing.assert_allclose(got.detach().numpy(), in_numpy(name, x, parameters), 1e-9, 1e-12)
    if got.requires_grad:
        got.sum().backward()
        assert tensor.grad is not None
        assert bool(tensor.grad.isfinite().all())
