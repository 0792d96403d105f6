"""Tables learned by plain gradient descent through kornia's differentiable JPEG."""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.common.extras import import_extra
from softjpeg.common.progress import track
from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.competitors.scaling import at_bpp, scaled_preset
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.tables import quality_tables
from softjpeg.learning.losses import kl_loss
from softjpeg.models.inference import device_of, outputs_of

_AS_GIVEN = 50.0
"""The quality at which kornia uses tables as they are, rounded."""
_RATE_POWER = 1.5
"""Default JPEG's loss falls about as this power of its rate grows."""
_LEARNING_RATE = 0.05

Tables = tuple[Tensor, Tensor]


def kornia_tables(context: Context, steps: int = 30, batch_size: int = 8) -> dict[str, Encoder]:
    """Tables for each of the target rates: learned from the highest down.

    Adam on the logarithms of the steps minimizes ``log KL + 1.5·log rate``, so that neither a
    rate weight nor a scale has to be found. What is learned is scaled to the target rate.

    Args:
        context: its network, images, subsampling, targets_bpp, seed and progress are used.
        steps: of Adam at the highest rate; half as many at each of the others.
        batch_size: images a step.
    """
    assert context.images is not None
    assert context.model is not None
    luma, chroma = (torch.from_numpy(t).float() for t in quality_tables(50))
    tables = (luma, chroma)
    answers = outputs_of(context.model, context.images)
    encoders: dict[str, Encoder] = {}
    for target in sorted(context.targets_bpp, reverse=True):
        here = -(-steps // 2) if encoders else steps
        tables = _learned(_at(target, tables, context), context, answers, here, batch_size)
        tables = _at(target, tables, context)
        preset = scaled_preset(tables, 1.0, context.subsampling)
        encoders[f"{target} bpp"] = preset_encoder(preset)
    return dict(reversed(encoders.items()))


def _at(target_bpp: float, tables: Tables, context: Context) -> Tables:
    """The tables scaled to a rate."""
    assert context.images is not None

    scale = at_bpp(
        lambda x: scaled_preset(tables, x, context.subsampling),
        context.images,
        target_bpp,
        low=0.01,
        high=50.0,
    )
    return (tables[0] * scale).clamp(1, 255), (tables[1] * scale).clamp(1, 255)


def _learned(
    start: Tables, context: Context, answers: Tensor, steps: int, batch_size: int
) -> Tables:
    assert context.images is not None
    assert context.model is not None
    codec = import_extra("kornia.enhance", extra="competitors").jpeg_codec_differentiable
    device = device_of(context.model)
    generator = torch.Generator().manual_seed(context.seed)
    logs = [table.log().to(device).requires_grad_() for table in start]
    optimizer = torch.optim.Adam(logs, lr=_LEARNING_RATE)
    for _ in track(range(steps), "kornia", enabled=context.progress):
        chosen = torch.randint(len(context.images), (batch_size,), generator=generator)
        pixels = context.images[chosen].to(device).float() / 255
        tables = (logs[0].exp().clamp(1, 255), logs[1].exp().clamp(1, 255))
        shown = codec(pixels, torch.tensor([_AS_GIVEN], device=device), *tables).clamp(0, 1)
        loss = kl_loss(context.model(shown), answers[chosen].to(device)).clamp_min(1e-6)
        objective = loss.log() + _RATE_POWER * rate_proxy(pixels, tables).log()
        # The network's own parameters keep their gradients as they are.
        for log, gradient in zip(logs, torch.autograd.grad(objective, logs), strict=True):
            log.grad = gradient
        optimizer.step()
    luma, chroma = (log.detach().exp().cpu() for log in logs)
    return luma, chroma


def rate_proxy(pixels: Tensor, tables: Tables) -> Tensor:
    """``Σ log₂(1 + |z/q|)`` of an image in 4:2:0, mean over a batch.

    Args:
        pixels: (B, 3, H, W) in [0, 1].
        tables: (luma, chroma), each (8, 8) > 0.

    >>> rate_proxy(torch.full((1, 3, 8, 8), 128 / 255), (torch.ones(8, 8),) * 2).item() < 1e-3
    True
    """
    steps = (tables[0], tables[1], tables[1])
    coefficients = image_to_coefficients(pixels, "4:2:0")
    bits = [torch.log2(1 + (z / q).abs()).sum() for z, q in zip(coefficients, steps, strict=True)]
    return torch.stack(bits).sum() / len(pixels)
