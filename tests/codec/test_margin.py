import math

import numpy as np
import pytest
import torch

from softjpeg.codec.closed_loop.margin import margin, soft_minimum
from softjpeg.models.fidelity import parse_fidelity


@pytest.mark.parametrize("keep", ["top1", "top3", "in-top1", "in-top4", "kl:1.5", "cosine:0.7"])
def test_margin_is_positive_where_the_answer_is_kept(keep):
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(300, 6, generator=generator)
    outputs = wanted + 2 * torch.randn(300, 6, generator=generator)
    fidelity = parse_fidelity(keep)
    kept = fidelity.measure(outputs, wanted) <= fidelity.limit
    assert 30 < kept.sum() < 270
    assert torch.equal(margin(fidelity, outputs, wanted) > 0, kept)


def test_soft_minimum_is_below_the_least():
    values = torch.tensor([[1.0, 5.0, -3.0], [4.0, 5.0, 9.0]])
    expected = [-math.log(sum(math.exp(-v) for v in column)) for column in values.T.tolist()]
    np.testing.assert_allclose(soft_minimum(values), expected, rtol=1e-6)
    assert (soft_minimum(values) < values.amin(0)).all()
    assert torch.equal(soft_minimum(values[:1]), values[0])
