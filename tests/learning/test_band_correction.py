"""The correction of a model by bands against a hand-computed case."""

import pytest
import torch

from helpers.images import coefficients
from softjpeg.learning.band_correction import SizedCoefficients, correct, shifted_tables


def test_correction_is_measured_over_predicted():
    z, tables = coefficients(), (torch.full((8, 8), 12), torch.full((8, 8), 20))
    s = torch.full((3, 8, 8), 1e-3)
    predicted = []
    for luma, chroma in shifted_tables(tables):
        errors = [
            ((x - torch.round(x / q) * q) ** 2).sum((1, 2)).mean(0)
            for x, q in zip(z, (luma, chroma, chroma), strict=True)
        ]
        predicted.append(0.5 * float(sum((s[0] * e).sum() for e in errors)))
    losses = torch.tensor([predicted] * 5, dtype=torch.float64)
    same, rate = correct(losses, [SizedCoefficients(z, (32, 32))], tables, s, "4:4:4")
    assert torch.allclose(same, torch.ones_like(same), atol=1e-3)
    assert ((rate >= 0.5) & (rate <= 2)).all()
    # The finest luma band costs half of what was predicted.
    moved = torch.tensor([float(luma[7, 7] > 12) for luma, _ in shifted_tables(tables)]) * 2 - 1
    slope = (losses[0] * moved).mean() * moved
    half = losses - slope / 2
    factors, _ = correct(half, [SizedCoefficients(z, (32, 32))], tables, s, "4:4:4")
    assert factors[0, 7, 7] / factors[0, 0, 1] == pytest.approx(0.5, rel=0.02)
    # So it does on average here, but the batches disagree wildly.
    noisy = half.clone()
    noisy += torch.tensor([-1.0, 1.0, -1.0, 1.0, 0.0])[:, None] * 50 * slope
    shrunk, _ = correct(noisy, [SizedCoefficients(z, (32, 32))], tables, s, "4:4:4")
    assert shrunk[0, 7, 7] / shrunk[0, 0, 1] == pytest.approx(1.0, rel=0.05)
