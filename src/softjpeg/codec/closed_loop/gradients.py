"""The margin of networks' answers to files, and its gradient in every coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.codec.closed_loop.blocks import Blocks
from softjpeg.codec.closed_loop.judge import Inputs, Judge, Outputs
from softjpeg.codec.closed_loop.margin import margin, soft_minimum
from softjpeg.common.torch_modes import usual_modes
from softjpeg.models.inference import device_of
from softjpeg.models.network import Network


@usual_modes()
def margin_gradients(
    judge: Judge,
    files: Sequence[tuple[Blocks, Tensor]],
    inputs: Sequence[Inputs],
    originals: Sequence[Outputs],
) -> tuple[list[float], list[Outputs], list[Tensor]]:
    """What networks make of files, and how that changes with the files' coefficients.

    The networks read the true pixels; the gradient is that of libjpeg's steps without rounding,
    and of torch's resampling.

    Args:
        judge: networks and fidelity.
        files: of each file its blocks and the (N, 64) indices it has now.
        inputs: what each network reads of each file.
        originals: the networks' outputs on the images.

    Returns:
        Of each file the margin (the soft minimum over networks), the outputs, and the margin's
        gradient (N, 64) in units of one index.

    Raises:
        ValueError: an output that is not finite; the network is named.
    """
    coefficients = [(i * b.steps).requires_grad_() for b, i in files]
    pixels = [b.pixels(z) for (b, _), z in zip(files, coefficients, strict=True)]
    margins, columns = [], []
    for place, network in enumerate(judge.networks):
        seen = [
            _true(resampled(image, network), true[place])
            for image, true in zip(pixels, inputs, strict=True)
        ]
        outputs = network.module(torch.stack(seen).to(device_of(network.module))).cpu()
        if not outputs.isfinite().all():
            raise ValueError(f"{network.name}: the network's output on a file is not finite")
        goals = torch.stack([original[place] for original in originals])
        margins.append(margin(judge.fidelity, outputs, goals))
        columns.append(outputs.detach())
    least = soft_minimum(torch.stack(margins))
    gradients = torch.autograd.grad(least.sum(), coefficients)
    steps = [g * b.steps for g, (b, _) in zip(gradients, files, strict=True)]
    return least.tolist(), list(zip(*columns, strict=True)), steps


def resampled(pixels: Tensor, network: Network) -> Tensor:
    """An image (3 or 1, H, W) in [0, 1] as `network_input` resizes and crops it, differentiable."""
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


def _true(approximate: Tensor, pixels: Tensor) -> Tensor:
    """The true pixels uint8 in [0, 1], with the gradient of what approximates them."""
    return approximate + (pixels / 255 - approximate).detach()
