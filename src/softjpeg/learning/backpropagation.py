"""J4D as the paper has it: gradients of loss and rate in log q and log h, through the quantizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from softjpeg.common.image_sequence import in_place, pixel_count, same_size_groups
from softjpeg.functional.quantizers import hard_quantize
from softjpeg.functional.rate.rate_model import RateModel, check_rate_model, scan_bits_by
from softjpeg.functional.soft_quantizer import soft_quantize
from softjpeg.functional.straight_through import straight_through
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.learning.goal import check_positive
from softjpeg.learning.objective import Objective
from softjpeg.learning.relative_loss import combined

Forward = Literal["soft", "hard"]
Start = Literal["default", "measured"]

_KINDS = (0, 1, 1)
"""Tables of Y, Cb and Cr: luma, chroma, chroma."""
_JPEG_PIXELS = 1 << 13
"""Of a batch, whose Huffman bits are estimated: their gradient hardly varies, and is slow."""
_SHIFT = 0.1
"""Of log q, over which those bits are differenced."""
_GROWTH = 0.2
"""Of log q, over which the growth of squared errors is taken."""


@dataclass(frozen=True)
class Backpropagation:
    """Settings of learning by stochastic gradient descent through the quantizer.

    Attributes:
        start: the default tables; or "measured", what that method learns, which is then kept unless
            the descent's tables are surely better on the judging half.
        forward: what networks are shown: "soft", J4D's ``Q_d``, its hardness learned too; or
            "hard", rounded coefficients, differentiated as `rounded` says.
        rate: "entropy" of the indices, J4D's; or "jpeg", the expected bits of a baseline scan.
        steps: of Adam, a batch of the measuring half each, at every rate; the tables are the mean
            of the second half of them.
        learning_rate: in log q and log h; it falls linearly to 0.
        hardness: floors of h = αq² at the beginning and from the middle on, between them log h's
            floor rises linearly; h begins at the first. A hard forward pass has the second alone.

    Raises:
        ValueError: a value out of its range.

    >>> Backpropagation(forward="hard").rate
    'entropy'
    """

    start: Start = "default"
    forward: Forward = "soft"
    rate: RateModel = "entropy"
    steps: int = 200
    learning_rate: float = 0.03
    hardness: tuple[float, float] = (4.0, 20.0)

    def __post_init__(self) -> None:
        for name, known in (("start", Start), ("forward", Forward)):
            if getattr(self, name) not in get_args(known):
                words = " or ".join(get_args(known))
                raise ValueError(f"{name} must be {words}, got {getattr(self, name)!r}")
        check_rate_model(self.rate)
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        check_positive("learning_rate", self.learning_rate)
        for floor in self.hardness:
            check_positive("hardness", floor)

    def least_hardness(self, step: int) -> float:
        """The floor of h at a step from 0 on.

        >>> round(Backpropagation(steps=100).least_hardness(25), 2)  # half-way, in log
        8.94
        """
        first, last = self.hardness
        share = 1.0 if self.forward == "hard" else min(1.0, 2 * step / self.steps)
        return float(first ** (1 - share) * last**share)


Method = Literal["measured", "backprop", "hybrid"]
"""How to learn; "hybrid" descends from what "measured" finds, by the steadiest gradients."""

METHODS: dict[str, Backpropagation | None] = {
    "measured": None,
    "backprop": Backpropagation(),
    "hybrid": Backpropagation("measured", "hard", "jpeg", steps=100, learning_rate=0.01),
}


def descent_of(method: Method | Backpropagation) -> Backpropagation | None:
    """The settings that a method's name stands for; None where nothing is descended.

    >>> descent_of("measured") is None, descent_of("backprop").forward
    (True, 'soft')
    """
    if isinstance(method, Backpropagation):
        return method
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"method must be {known} or a Backpropagation, got {method!r}")
    return METHODS[method]


class Slopes(NamedTuple):
    """Gradients of one batch in (log q, log h), each (2, 2, 8, 8): of luma, then of chroma."""

    loss: Tensor
    """Of the networks' combined loss."""
    rate: Tensor
    """Of the scan's bits per pixel."""


def slopes(
    objective: Objective,
    part: slice,
    logs: Tensor,
    settings: Backpropagation,
    scales: list[float],
) -> Slopes:
    """Both terms of J4D's objective, differentiated.

    Args:
        objective: networks, images and loss.
        part: the batch.
        logs: (2, 2, 8, 8), log q and log h of luma and chroma.
        settings: what is shown, and which rate counts.
        scales: loss of each network behind default tables, as of `combined`.

    Raises:
        ValueError: a network's output, or a gradient, is not finite.
    """
    networks, subsampling = objective.networks, objective.subsampling
    logs = logs.detach().to(networks.device).requires_grad_()
    steps = [logs[0, kind].exp() for kind in _KINDS]
    alphas = [logs[1, kind].exp() / q**2 for kind, q in zip(_KINDS, steps, strict=True)]
    stored = objective.stored(part)
    shown, bits, pixels = [], [], 0
    for places, images in same_size_groups(stored):
        size = (images.shape[-2], images.shape[-1])
        values = images.to(networks.device).float() / 255
        z = image_to_coefficients(values, subsampling, rounding=True)
        quantized = [
            soft_quantize(c, q, alpha) if settings.forward == "soft" else rounded(c, q)
            for c, q, alpha in zip(z, steps, alphas, strict=True)
        ]
        shown.append((places, coefficients_to_image(quantized, size, subsampling, rounding=True)))
        counted = _counted(len(images), size, pixels, settings.rate)
        if counted:
            of_one = scan_bits_by(
                settings.rate,
                [c[:counted] for c in z],
                steps,
                alphas,
                size=size,
                subsampling=subsampling,
                shift=_SHIFT if settings.forward == "hard" else None,
            )
            bits.append(of_one * counted)
            pixels += counted * size[0] * size[1]
    losses = []
    for k in range(len(networks)):
        network, targets = networks.checked(k, part), networks.targets(k, part)
        outputs = in_place([(places, network(images)) for places, images in shown])
        losses.append(networks.loss(outputs, targets.to(outputs.device)).to(logs.device))
    loss = combined(torch.stack(losses), scales, worst_case=objective.worst_case)
    # Bits per pixel of the images' own size, whatever they are stored at.
    bpp = (
        torch.stack(bits).sum()
        / pixels
        * (pixel_count(stored) / pixel_count(objective.images[part]))
    )
    found = Slopes(
        *(torch.autograd.grad(value, logs, retain_graph=True)[0].cpu() for value in (loss, bpp))
    )
    if not all(torch.isfinite(slope).all() for slope in found):
        raise ValueError(
            f"the gradient in the tables is not finite on images {part.start} to {part.stop - 1}"
        )
    return found


def rounded(z: Tensor, q: Tensor) -> Tensor:
    """``q·round(z/q)``, whose gradient in q is that of an error growing as errors here do.

    Straight-through says that every error e grows with q, ``∂e/∂log q = e``; but a coefficient that
    is zero and stays zero keeps its own. The derivative of ``Q_d`` knows, but its noise grows with
    |z/q|. So e is scaled by what the squared error D of its frequency tells, without noise:
    ``∂e/∂log q = e·½ ∂log D/∂log q``, which is e where q is small, and 0 where all is zero.

    Args:
        z: (..., 8, 8) coefficients.
        q: (8, 8) steps > 0.

    >>> q = torch.full((8, 8), 10.0, requires_grad=True)
    >>> rounded(torch.linspace(-4, 4, 65)[:, None, None].expand(65, 8, 8), q).sum().backward()
    >>> q.grad.abs().max().item()
    0.0
    """
    hard = hard_quantize(z, q)
    with torch.no_grad():
        error = hard - z
        up, down = (_squared_error(z, q * math.exp(shift)) for shift in (_GROWTH, -_GROWTH))
        here = _squared_error(z, q)
        growth = (up - down) / (4 * _GROWTH * here.clamp_min(1e-12))
        slope = error * growth.clamp(0, 1) / q
    return straight_through(hard, z + slope * q)


def _squared_error(z: Tensor, q: Tensor) -> Tensor:
    """(8, 8): mean over all blocks."""
    return (hard_quantize(z, q) - z).square().flatten(0, -3).mean(0)


def _counted(images: int, size: tuple[int, int], pixels: int, rate: RateModel) -> int:
    """How many more images of a size the rate is taken on, where that is done on some pixels."""
    if rate == "entropy":
        return images
    left = (_JPEG_PIXELS - pixels) // (size[0] * size[1])
    return min(images, max(left, 0 if pixels else 1))
