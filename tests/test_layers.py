"""The fast formulations against the straightforward ones."""

import pytest
import torch
from oracles import modulated_conv, upfirdn
from torch.nn import functional as F

from blendgan_core.discriminators import append_minibatch_stddev
from blendgan_core.layers import (
    EqualLinear,
    ModulatedConv2d,
    fir_filter,
    pixel_norm,
    transposed_conv,
    upsample,
)


@pytest.mark.parametrize("kernel, up", [(3, False), (3, True), (1, False)])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_equals_modulated_weights(kernel, up, demodulate):
    torch.manual_seed(0)
    conv = ModulatedConv2d(5, 7, kernel, w_dim=4, demodulate=demodulate, upsample=up).double()
    x, w = torch.randn(3, 5, 6, 6).double(), torch.randn(3, 4).double()
    bias = torch.randn(7).double()
    expected = modulated_conv(x, conv.weight * conv.scale, conv.modulation(w), demodulate, up)
    expected = (expected + bias[:, None, None]) * 1.5
    torch.testing.assert_close(conv(x, w, bias, gain=1.5), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_phases_of_a_transposed_convolution(dtype):
    """In bfloat16 with small whole numbers, whose sums it holds exactly."""
    x, weight = torch.randint(-3, 4, (2, 5, 4, 6)), torch.randint(-2, 3, (3, 5, 3, 3))
    found = transposed_conv(x.to(dtype), weight.to(dtype))
    expected = F.conv_transpose2d(x.double(), weight.double().transpose(0, 1), stride=2)
    assert torch.equal(found.double(), expected)


@torch.no_grad()
def test_a_large_style_does_not_overflow_in_fp16():
    """Demodulation takes a common factor out again, but fp16 ends at 65504."""
    conv = ModulatedConv2d(4, 3, 3, w_dim=2)
    conv.modulation.bias.fill_(1e6)
    x, w, bias = torch.randn(1, 4, 5, 5), torch.randn(1, 2), torch.zeros(3)
    torch.testing.assert_close(conv(x.half(), w, bias).float(), conv(x, w, bias), atol=0.01, rtol=0)


def test_upsample_equals_zero_stuffing_and_filtering():
    x = torch.randn(2, 3, 5, 5).double()
    torch.testing.assert_close(upsample(x), upfirdn(x, up=2, padding=(2, 1), gain=4))


@pytest.mark.parametrize("padding, stride", [((2, 2), 1), ((1, 1), 2), ((2, 1), 1)])
def test_fir_filter_equals_filtering_every_channel_alone(padding, stride):
    x = torch.randn(2, 3, 6, 6).double()
    expected = upfirdn(x, up=1, padding=padding, gain=1)[:, :, ::stride, ::stride]
    torch.testing.assert_close(fir_filter(x, padding, stride=stride), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_fir_filter_in_half_precision_keeps_it(stride):
    """A CPU goes by way of fp32 where it is strided; rounding is all that differs."""
    x = torch.randn(2, 3, 6, 6)
    half = x.bfloat16().requires_grad_()
    out = fir_filter(half, (1, 1), stride=stride)
    assert out.dtype == torch.bfloat16
    expected = fir_filter(half.detach().float(), (1, 1), stride=stride)
    torch.testing.assert_close(out.float(), expected, atol=0.02, rtol=0)
    out.float().sum().backward()
    assert half.grad.isfinite().all()


def test_upsampling_keeps_a_flat_picture_flat():
    """An invariant: the filter's gain is 1 away from the border."""
    flat = upsample(torch.ones(1, 3, 8, 8))
    torch.testing.assert_close(flat[:, :, 2:-2, 2:-2], torch.ones(1, 3, 12, 12))


def test_convolution_can_be_differentiated_twice():
    conv = ModulatedConv2d(3, 4, 3, w_dim=2, upsample=True).double()
    x = torch.randn(1, 3, 4, 4).double().requires_grad_()
    w = torch.randn(1, 2).double().requires_grad_()
    bias = torch.randn(4).double().requires_grad_()
    assert torch.autograd.gradgradcheck(conv, (x, w, bias))


def test_pixel_norm_by_hand():
    """RMS of (3, 4) is sqrt(12.5)."""
    out = pixel_norm(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(out, torch.tensor([[3.0, 4.0]]) / 12.5**0.5)


def test_equal_linear_output_does_not_depend_on_the_lr_multiplier_at_init():
    torch.manual_seed(0)
    plain = EqualLinear(8, 3)
    torch.manual_seed(0)
    slow = EqualLinear(8, 3, lr_multiplier=0.01)
    x = torch.randn(2, 8)
    torch.testing.assert_close(plain(x), slow(x))


def test_minibatch_stddev_by_hand():
    """Samples n and n + 2 share a group (N = 8, G = 2): group 0 is all 1, group 1 holds 0, 2, 0,
    2."""
    x = torch.ones(8, 1, 1, 1)
    x[[1, 5]], x[[3, 7]] = 0.0, 2.0
    channel = append_minibatch_stddev(x)[:, 1, 0, 0]
    torch.testing.assert_close(channel[::2], torch.full((4,), 1e-4))  # the square root of 1e-8
    torch.testing.assert_close(channel[1::2], torch.ones(4))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 6, 7])
def test_minibatch_stddev_takes_any_batch(batch):
    out = append_minibatch_stddev(torch.randn(batch, 3, 4, 4))
    assert out.shape == (batch, 4, 4, 4)
    assert torch.isfinite(out).all()
