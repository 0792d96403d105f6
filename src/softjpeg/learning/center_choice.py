"""Which part of the images networks read at all: what moves their output, found by gradients."""

from __future__ import annotations

import math

import torch

from softjpeg.common.torch_modes import usual_modes
from softjpeg.learning.objective import Objective
from softjpeg.learning.run_options import RunOptions

_IMAGES = 8


def center_of(objective: Objective, options: RunOptions) -> float | None:
    """What is stored whole: as `options` says, or what the networks read.

    Args:
        objective: whose networks read the images at their own size.
        options: of the run; its `center` may be "auto".
    """
    if options.center != "auto":
        return options.center
    center = seen_center(objective)
    if options.log is not None:
        options.log(
            "the networks read all of the images: all is stored whole"
            if center is None
            else f"of blocks outside the middle {center:g} of the shorter side, which no network "
            "reads, the means alone are stored"
        )
    return center


@usual_modes()
def seen_center(objective: Objective) -> float | None:
    """The least square about the middle that holds all pixels that move any network's output.

    Up to 8 images are asked about, spread over all; a pixel counts where the gradient of a random
    sum of the outputs is not zero.

    Args:
        objective: its images and networks.

    Returns:
        Its side as a share of the shorter one, up to the next hundredth; None where it is no
        smaller than the image in any of them.
    """
    images = objective.images
    share = 0.0
    leaves = False
    for i in range(0, len(images), -(-len(images) // _IMAGES)):
        image = images[i].to(objective.networks.device).float() / 255
        height, width = image.shape[-2:]
        for k in range(len(objective.networks)):
            network = objective.networks.checked(k, slice(i, i + 1))
            pixels = image[None].clone().requires_grad_()
            with torch.enable_grad():
                output = network(pixels)
                signs = torch.randn(output.shape, generator=objective.draws(k))
                (gradient,) = torch.autograd.grad((output * signs.to(output)).sum(), pixels)
            rows, columns = (gradient[0] != 0).any(0).nonzero(as_tuple=True)
            reach = 2 * max(_farthest(rows, height), _farthest(columns, width))
            share = max(share, reach / min(height, width))
            leaves |= reach < max(height, width)
    return min(1.0, math.ceil(100 * share) / 100) if leaves and share <= 1 else None


def _farthest(places: torch.Tensor, side: int) -> float:
    """From the middle of a side to the outer edge of a pixel."""
    if not len(places):
        return 0.0
    return max(side / 2 - int(places.min()), int(places.max()) + 1 - side / 2)
