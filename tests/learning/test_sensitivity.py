"""Sensitivity against Fisher information in closed form, and its pooling."""

import pytest
import torch

from softjpeg.learning.sensitivity import pooled, sensitivity


def test_pooling_smooths_only_what_is_uncertain():
    field = torch.ones(3, 8, 8)
    field[0, 3, 3] = 4.0
    assert torch.allclose(pooled([field, field]), field)
    noisy = [field.clone(), field.clone()]
    noisy[0][0, 3, 3], noisy[1][0, 3, 3] = 0.1, 7.9
    assert 1.2 < pooled(noisy)[0, 3, 3] < 2.2


def test_sensitivity_of_a_linear_softmax_is_its_fisher_information():
    """Two classes, logits ±w·z of one luma coefficient: s = 4w²·p(1-p)."""
    weight = 0.05
    row = torch.cos((2 * torch.arange(8.0) + 1) * torch.pi / 16) / 2 / 8**0.5

    class Reader(torch.nn.Module):
        def forward(self, x):
            luma = torch.tensor([0.299, 0.587, 0.114])
            y = torch.einsum("bchw,c->bhw", x, luma) * 255 - 128
            z = torch.einsum("bhw,w->b", y, row)
            return torch.stack([weight * z, -weight * z], -1)

    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (400, 3, 8, 8), generator=g).to(torch.uint8)
    p = Reader()(x.float() / 255).softmax(-1)
    expected = (4 * weight**2 * p[:, 0] * p[:, 1]).mean()
    got = sensitivity(Reader(), x, generator=torch.Generator().manual_seed(1))
    assert got[0, 0, 1] == pytest.approx(float(expected), rel=0.1)
    assert got[0].flatten()[2:].max() < 1e-6 * got[0, 0, 1]
