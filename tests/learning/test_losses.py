"""Losses by name, and draws that square to their curvature."""

import pytest
import torch
from torch import nn

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.learning.learn import learn
from softjpeg.learning.losses import cosine_loss, curvature_draw, load_loss, mse_loss


def test_an_embedding_by_its_cosine():
    model = nn.Sequential(HighFrequencyReader(), nn.Tanh())
    preset = learn(
        model, images(16, 16), loss=cosine_loss, target_bpp=17.0, subsampling="4:4:4", batch_size=4
    )
    judged = preset.provenance["learned"]["judged"]
    assert judged["loss"] < 0.8 * judged["default_loss"]
    assert preset.luma[0, 6] < preset.luma[6, 0]


def hessian(loss, outputs, targets):
    return torch.autograd.functional.hessian(lambda x: loss(x[None], targets), outputs[0])


@pytest.mark.parametrize("loss", [mse_loss, cosine_loss])
def test_a_draw_squares_to_the_hessian(loss):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, generator=g)
    draws = curvature_draw(lambda a, b: loss(a, b), x.expand(20000, 4), x.expand(20000, 4), g)
    measured = draws.T @ draws / len(draws)
    expected = hessian(loss, x, x)
    assert torch.allclose(measured, expected, atol=0.03 * float(expected.diagonal().max()))


def test_a_draw_of_a_loss_without_curvature_is_its_gradient():
    x = torch.tensor([[1.0, -2.0]])
    draw = curvature_draw(lambda a, b: (a - b).abs().mean(), x, 0 * x, torch.Generator())
    assert torch.allclose(draw, torch.tensor([[0.5, -0.5]]))


def test_losses_by_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def far(outputs, targets):\n    return (outputs - targets).abs().mean()\n")
    assert load_loss("kl") is None
    assert load_loss(f"{file}:far")(torch.ones(2, 2), torch.zeros(2, 2)) == 1
    for spec, sentence in (
        ("l2", r"loss must be kl, cosine, mse or FILE.py:FUNCTION, got 'l2'"),
        ("absent.py:far", "loss file absent.py does not exist"),
        (f"{file}:near", "mine.py has no function 'near'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            load_loss(spec)
    file.write_text("1 / 0")
    with pytest.raises(ValueError, match=r"mine.py failed: ZeroDivisionError: division by zero"):
        load_loss(f"{file}:far")
