"""The slack of networks' answers to files, and its gradient in every coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.codec.closed_loop.blocks import Blocks
from softjpeg.codec.closed_loop.judge import Answers, Judge, Views
from softjpeg.codec.closed_loop.slack import slack, soft_minimum
from softjpeg.models.inference import device_of
from softjpeg.models.network import Network


def slack_gradients(
    judge: Judge,
    files: Sequence[tuple[Blocks, Tensor]],
    views: Sequence[Views],
    wanted: Sequence[Answers],
) -> tuple[list[float], list[Answers], list[Tensor]]:
    """What networks say of files, and how that changes with the files' coefficients.

    The networks read the true pixels; the gradient is that of libjpeg's steps without rounding,
    and of torch's resampling.

    Args:
        judge: networks and fidelity.
        files: of each file its blocks and the (N, 64) indices it has now.
        views: what each network reads of each file.
        wanted: the networks' answers to the images.

    Returns:
        Of each file the slack (the soft minimum over networks), the answers, and the slack's
        gradient (N, 64) in units of one index.

    Raises:
        ValueError: an output that is not finite; the network is named.
    """
    coefficients = [(i * b.steps).requires_grad_() for b, i in files]
    pixels = [b.pixels(z) for (b, _), z in zip(files, coefficients, strict=True)]
    slacks, columns = [], []
    for place, network in enumerate(judge.networks):
        seen = [
            _true(resampled(image, network), view[place])
            for image, view in zip(pixels, views, strict=True)
        ]
        outputs = network.module(torch.stack(seen).to(device_of(network.module))).cpu()
        if not outputs.isfinite().all():
            raise ValueError(f"{network.name}: the network's output on a file is not finite")
        originals = torch.stack([answer[place] for answer in wanted])
        slacks.append(slack(judge.fidelity, outputs, originals))
        columns.append(outputs.detach())
    least = soft_minimum(torch.stack(slacks))
    gradients = torch.autograd.grad(least.sum(), coefficients)
    steps = [g * b.steps for g, (b, _) in zip(gradients, files, strict=True)]
    return least.tolist(), list(zip(*columns, strict=True)), steps


def resampled(pixels: Tensor, network: Network) -> Tensor:
    """An image (3 or 1, H, W) in [0, 1] as `judge.view` resizes and crops it, differentiable."""
    image = pixels.expand(3, -1, -1)
    if network.resize is not None:
        short = min(image.shape[1:])
        size = tuple(network.resize * side // short for side in image.shape[1:])
        if size != tuple(image.shape[1:]):
            kind = network.interpolation
            image = F.interpolate(image[None], size, mode=kind, antialias=True)[0]
    if network.size is not None:
        top, left = (
            round((side - crop) / 2)
            for side, crop in zip(image.shape[1:], network.size, strict=True)
        )
        image = image[:, top : top + network.size[0], left : left + network.size[1]]
    return image


def _true(approximate: Tensor, view: Tensor) -> Tensor:
    """The view's own values, with the gradient of what approximates them."""
    return approximate + (view / 255 - approximate).detach()
