"""Convolutions of the smallest maps are the same sums as the library's."""

import pytest
import torch
from galaxy_lvm.lvm.convolution import conv_nhwc
from torch import nn


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (4, 4), (5, 5)])
def test_values_and_gradients_are_those_of_the_library(shape, groups, stride):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, padding=1, stride=stride, groups=groups).double()
    x = torch.randn(3, *shape, 4, dtype=torch.float64, requires_grad=True)
    results = []
    for apply in (
        lambda: conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1),
        lambda: conv_nhwc(conv, x),
    ):
        y = apply()
        # A sum of squares: every output has a gradient of its own.
        results.append([y, *torch.autograd.grad(y.square().sum(), [x, conv.weight, conv.bias])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_it_works_in_half_precision_too():
    conv = nn.Conv2d(4, 8, 3, padding=1)
    x = torch.randn(2, 2, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv_nhwc(conv, x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), conv_nhwc(conv, x), atol=0.05, rtol=0.05)
