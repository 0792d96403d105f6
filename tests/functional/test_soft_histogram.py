"""The entropy's histogram without a window tensor, against the sum over all of it in float64."""

import itertools

import pytest
import torch

from helpers import references
from helpers.ops import Case, OperatorTests
from softjpeg.functional import pure_functions
from softjpeg.functional.rate.entropy import frequency_entropy
from softjpeg.kernels.library import is_available

OPTIONS = [{}, {"window": 3}, {"window": 5, "levels": 3}, {"levels": 1}, {"levels": 40}]


def arguments(count, hardness, spread=12.0):
    generator = torch.Generator().manual_seed(count)
    z = torch.randn(count, 8, 8, generator=generator) * spread / torch.arange(1, 65).reshape(8, 8)
    q = torch.rand(8, 8, generator=generator) * 20 + 0.5
    return z, q, hardness * (0.5 + torch.rand(8, 8, generator=generator)) / q**2


def with_gradients(function, tensors, weights, **options):
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    value = function(*leaves, **options)
    return value.detach(), torch.autograd.grad((value * weights.to(value)).sum(), leaves)


class TestFrequencyEntropy(OperatorTests):
    """float32 is the kernel, where it was built; float64 is the loop over offsets."""

    function, reference = staticmethod(frequency_entropy), staticmethod(references.entropy)
    cases = {
        f"{count} blocks, hardness {hardness:g}, {options}": Case(
            tuple(t.double() for t in arguments(count, hardness)), options, smooth=hardness <= 20
        )
        for count, hardness, options in itertools.product((1, 21), (0.05, 1.0, 20.0, 1e5), OPTIONS)
    }
    precision = 2e-8  # Of an index set cut off where float32 sees no more.
    kernel_tolerance = 3e-5
    dtypes = (torch.float32,)
    empty = None  # No blocks have no entropy.
    meta = compiled = False  # How many bins there are depends on values.

    def check_kernel(self, kind, fused, single, exact, case):
        if kind == "value":
            assert torch.allclose(fused, exact, rtol=3e-5, atol=3e-5)
        else:
            assert (fused - exact).abs().max() <= 1.5e-4 * exact.abs().max().clamp_min(1e-3)


@pytest.mark.skipif(not is_available("_decisions"), reason="the kernels were not built")
def test_the_kernel_is_the_loop():
    for hardness, options in itertools.product((0.05, 20.0, 1e5), OPTIONS):
        given, weights = arguments(150, hardness, 3000.0), torch.ones(8, 8)
        fast = with_gradients(frequency_entropy, given, weights, **options)
        with pure_functions():
            slow = with_gradients(frequency_entropy, given, weights, **options)
        assert torch.allclose(fast[0], slow[0], rtol=1e-4, atol=1e-5)
        for a, b in zip(fast[1], slow[1], strict=True):
            assert (a - b).abs().max() <= 1e-4 * b.abs().max() + 1e-6


def test_nothing_larger_than_the_coefficients_is_kept():
    z, q, alpha = (t.requires_grad_() for t in arguments(2000, 5.0))
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        frequency_entropy(z, q, alpha).sum().backward()
    assert sum(kept.values()) < 1.2 * z.numel()


def test_blocks_of_any_strides():
    z, q, alpha = arguments(60, 5.0)
    turned = z.reshape(3, 20, 8, 8).transpose(0, 1)
    assert torch.allclose(frequency_entropy(turned, q, alpha), frequency_entropy(z, q, alpha))
    twice = frequency_entropy(z[::2].transpose(-1, -2), q.T, alpha.T)
    assert torch.allclose(twice, frequency_entropy(z[::2].clone(), q, alpha).T)


def test_refusals():
    z, q, alpha = arguments(4, 5.0)
    with pytest.raises(ValueError, match="q must be positive, got -1"):
        frequency_entropy(z, q - q[0, 0] - 1, alpha)
    z[2, 3, 4] = torch.inf
    with pytest.raises(ValueError, match="z must be finite"):
        frequency_entropy(z, q, alpha)
    with pytest.raises(ValueError, match="levels must be from 1 to 16777216 or None, got 0"):
        frequency_entropy(z, q, alpha, levels=0)
