"""The rounding of training is that of `edgecnn.fixedpoint` and of the quantizer, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgecnn import fixedpoint
from edgecnn.ir import FLOAT32, Array, Tensor
from edgecnn.qat import rounding
from edgecnn.quantization import ranges, weights


def near_halves(dtype: type) -> Array:
    halves = np.arange(-300, 300, 0.5).astype(dtype)
    up, down = (np.nextafter(halves, dtype(end)) for end in (np.inf, -np.inf))
    large = np.array([2.0**22 + 0.5, 2.0**23 + 1, 2.0**24 + 1, -(2.0**23) - 1, 1e30], dtype)
    return np.concatenate([halves, up, down, large])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_halves_round_away_from_zero(dtype: type) -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, np.uint32).view(np.float32)
    x = np.concatenate([near_halves(dtype), bits[np.isfinite(bits)].astype(dtype)])
    got = rounding.round_half_away(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(got, fixedpoint.round_half_away(x))


def test_scales_and_zero_points_are_the_quantizers() -> None:
    rng = np.random.default_rng(1)
    low = np.concatenate([rng.normal(0, 3, 2000), [0, 0, 1, -1, -1e-14, -5]])
    high = np.concatenate([low[:2000] + rng.exponential(2, 2000), [0, 6, 2, -0.5, 1e-14, 0]])
    scale, zero_point = rounding.affine(torch.from_numpy(low), torch.from_numpy(high))
    for i, span in enumerate(zip(low, high, strict=True)):
        expected = ranges.affine(span)
        assert (float(scale[i]), int(zero_point[i])) == (expected.scale[0], expected.zero_point[0])


def test_activations_round_as_the_quantizer_does() -> None:
    rng = np.random.default_rng(2)
    for low, high in ((-3.0, 5.0), (0.0, 6.0), (-1.0, 0.0), (-1e-3, 2e-3)):
        quant = ranges.affine((low, high))
        halves = (np.arange(-300, 300) + 0.5) * quant.scale[0]
        x = np.concatenate([rng.normal(0, high - low, 5000), halves]).astype(np.float32)
        ends = torch.tensor([low, high], dtype=torch.float64)
        got = rounding.fake_quantize(torch.from_numpy(x), *ends, *rounding.affine(*ends))
        codes = fixedpoint.quantize(x, quant.scale[0], quant.zero_point[0])
        expected = fixedpoint.dequantize(codes, quant.scale[0], quant.zero_point[0])
        np.testing.assert_array_equal(got.numpy(), expected)


def test_gradients_go_where_the_value_came_from() -> None:
    x = torch.tensor([-9.0, 0.26, 9.0], requires_grad=True)
    low, high = (
        torch.tensor(end, dtype=torch.float64, requires_grad=True) for end in (-100 / 64, 155 / 64)
    )
    scale, zero_point = rounding.affine(low.detach(), high.detach())  # steps of 1/64
    y = rounding.fake_quantize(x, low, high, scale, zero_point)
    (y * torch.tensor([2.0, 3.0, 5.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 3.0, 0.0]
    rest = 3 * (17 - 0.26 * 64) / 255  # a wider range makes the steps larger
    assert low.grad is not None
    assert high.grad is not None
    assert float(low.grad) == pytest.approx(2 - rest, abs=1e-6)
    assert float(high.grad) == pytest.approx(5 + rest, abs=1e-6)


@pytest.mark.parametrize(("shape", "axis"), [((5, 3, 3, 2), 0), ((1, 3, 3, 6), 3), ((4, 7), 0)])
@pytest.mark.parametrize("bias_size", [None, 0.1, 1e7])
def test_weights_and_biases_are_the_quantizers(
    shape: tuple[int, ...], axis: int, bias_size: float | None
) -> None:
    rng = np.random.default_rng(3)
    channels = shape[axis]
    along = [1] * len(shape)
    along[axis] = channels
    spread = np.array([0.0, 1e-9, *rng.exponential(1, channels - 2)]).reshape(along)
    data = (rng.normal(0, 1, shape) * spread).astype(np.float32)
    bias = None if bias_size is None else rng.normal(0, bias_size, channels).astype(np.float32)
    input_scale = np.float32(0.013)
    scales = weights.weight_scales(data, axis, True, bias, float(input_scale))
    tensor = weights.quantize_weights(Tensor("w", shape, FLOAT32, data), axis, scales)

    offset = None if bias is None else torch.from_numpy(bias)
    step = torch.tensor(float(input_scale))
    got_scales = rounding.weight_scales(torch.from_numpy(data), axis, offset, step)
    np.testing.assert_array_equal(got_scales.numpy(), scales)
    got = rounding.quantize_weights(torch.from_numpy(data), axis, got_scales)
    assert tensor.data is not None
    reals = tensor.data.astype(np.float64) * scales.astype(np.float64).reshape(along)
    np.testing.assert_array_equal(got.numpy(), reals.astype(np.float32))
    if bias is not None and offset is not None:
        stored = weights.quantize_bias(Tensor("b", bias.shape, FLOAT32, bias), input_scale, scales)
        assert stored.data is not None
        steps = np.float64(input_scale) * scales.astype(np.float64)
        got = rounding.quantize_bias(offset, step, got_scales)
        np.testing.assert_array_equal(got.numpy(), (stored.data * steps).astype(np.float32))


def test_weights_of_zero_stay_zero() -> None:
    scales = rounding.weight_scales(torch.zeros(3, 4), 0, None, torch.ones(()))
    assert scales.tolist() == [1.0, 1.0, 1.0]
    assert not rounding.quantize_weights(torch.zeros(3, 4), 0, scales).any()


def test_operands_are_the_quantizers() -> None:
    data = np.random.default_rng(4).normal(1, 2, (7, 3)).astype(np.float32)
    stored = weights.quantize_operand(Tensor("c", data.shape, FLOAT32, data))
    assert stored.data is not None
    expected = fixedpoint.dequantize(stored.data, stored.scale, stored.zero_point)
    got = rounding.quantize_operand(torch.from_numpy(data))
    np.testing.assert_array_equal(got.numpy(), expected)


def test_rounded_weights_pass_gradients_on() -> None:
    data = torch.randn(3, 4, requires_grad=True)
    scales = rounding.weight_scales(data, 0, None, torch.ones(()))
    rounding.quantize_weights(data, 0, scales).sum().backward()
    assert data.grad is not None
    assert bool((data.grad == 1).all())
