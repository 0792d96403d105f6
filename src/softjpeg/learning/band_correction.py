"""What a step really costs: in loss, band by band, and in JPEG's own bits, frequency by frequency.

Bit allocation assumes a quadratic loss and entropy. Both mislead in places: a local gradient
exaggerates what a network loses at high frequencies, where a whole step is far outside the linear
range, and entropy knows nothing of runs and end-of-block codes. So in each of a few frequency bands
all steps are moved up or down together, the loss is measured, and the ratio to what the closed
form predicts corrects it, as far as its standard error allows. The bits need no measuring: the rate
model tells what each single step changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from softjpeg.functional.rate.entropy import frequency_entropy, predict_dc
from softjpeg.functional.rate.jpeg_bits import jpeg_bits
from softjpeg.jpeg.entropy.limits import MAX_AC
from softjpeg.jpeg.subsampling import Subsampling

SHIFT = 0.2
"""How far a band's steps are moved, in log q: about 22 % up and 18 % down."""
_PRIOR_DEVIATION = 0.5
_HARD = 1e5  # So sharp a CPMF is hard rounding.
_RATIO_LIMITS = (0.1, 4.0)
_RATE_LIMITS = (0.5, 2.0)


class SizedCoefficients(NamedTuple):
    """Some images of one size.

    Attributes:
        z: (Y, Cb, Cr), each (B, rows, columns, 8, 8).
        size: (height, width) of the images.
    """

    z: Sequence[Tensor]
    size: tuple[int, int]


def frequency_bands() -> Tensor:
    """(8, 3, 8, 8) masks of Y, Cb, Cr: five bands of luma and three of chroma, by row + column.

    >>> bands = frequency_bands()
    >>> bool((bands.sum(0) == 1).all())
    True
    """
    order = torch.arange(8)[:, None] + torch.arange(8)
    luma = [(0, 0), (1, 1), (2, 3), (4, 6), (7, 14)]
    chroma = [(0, 0), (1, 2), (3, 14)]
    masks = torch.zeros(len(luma) + len(chroma), 3, 8, 8)
    for mask, (low, high) in zip(masks[: len(luma)], luma, strict=True):
        mask[0] = (order >= low) & (order <= high)
    for mask, (low, high) in zip(masks[len(luma) :], chroma, strict=True):
        mask[1:] = (order >= low) & (order <= high)
    return masks


def shift_signs() -> Tensor:
    """(16, 8): which way each band's steps move in each measurement, a Hadamard matrix and its -.

    Every measurement then tells about every band: the slopes' variance over batches is 1.6 times
    smaller (geometric mean over bands and two networks) than when bands move one by one.

    >>> bool((shift_signs().T @ shift_signs() == 16 * torch.eye(8)).all())
    True
    """
    signs = torch.ones(1, 1)
    for _ in range(3):
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, -signs], 1)])
    return torch.cat([signs, -signs])


def shifted_tables(tables: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(luma, chroma) with the bands' steps moved by SHIFT as `shift_signs` says, float.

    >>> len(shifted_tables((torch.full((8, 8), 16), torch.full((8, 8), 16))))
    16
    """
    factors = torch.exp(SHIFT * torch.einsum("rb,bchw->rchw", shift_signs(), frequency_bands()))
    luma, chroma = (t.float() for t in tables)
    # At 1 and 255 a step stays: JPEG has no finer and no coarser one.
    return [((luma * f[0]).clamp(1, 255), (chroma * f[1]).clamp(1, 255)) for f in factors]


def _slopes(measured: Tensor) -> Tensor:
    """(..., 16) at `shifted_tables` to (..., 8): derivatives in log q of each band."""
    signs = shift_signs().to(measured)
    return measured @ signs / (len(signs) * SHIFT)


def correct(
    losses: Tensor,
    groups: Sequence[SizedCoefficients],
    tables: tuple[Tensor, Tensor],
    sensitivity: Tensor,
    subsampling: Subsampling,
) -> tuple[Tensor, Tensor]:
    """Factors on the sensitivity and on the entropy that the measurements ask for.

    Args:
        losses: (batches, 16), mean loss of a batch at each of `shifted_tables`.
        groups: of some images, those of one size together.
        tables: (luma, chroma) about which the steps were moved.
        sensitivity: (3, 8, 8) that the closed form would use.
        subsampling: of the images.

    Returns:
        (loss, rate): (3, 8, 8) each; the first is constant within a band.
    """
    slopes = _slopes(losses.double())
    measured = slopes.mean(0)
    deviation = slopes.std(0) / len(slopes) ** 0.5 if len(slopes) > 1 else measured.abs()
    errors = []
    for luma, chroma in shifted_tables(tables):
        squared = torch.stack(
            [_squared_errors(group.z, (luma, chroma, chroma)) for group in groups]
        )
        errors.append(0.5 * float((sensitivity * _mean(squared, groups)).sum()))
    predicted = _slopes(torch.tensor(errors, dtype=torch.float64))
    ratio = _shrink(measured, deviation, predicted)
    return (
        torch.einsum("b,bchw->chw", ratio.float(), frequency_bands()),
        rate_factor(groups, tables, subsampling),
    )


def rate_factor(
    groups: Sequence[SizedCoefficients],
    tables: tuple[Tensor, Tensor],
    subsampling: Subsampling,
) -> Tensor:
    """What a larger step really saves, over what entropy says: bits of JPEG's own code.

    Args:
        groups: of some images, those of one size together.
        tables: (luma, chroma).
        subsampling: of the images.

    Returns:
        (3, 8, 8), 0.5..2; 1 where entropy expects nothing.

    >>> z, q = [torch.zeros(1, 1, 1, 8, 8)] * 3, torch.ones(8, 8)
    >>> rate_factor([SizedCoefficients(z, (8, 8))], (q, q), "4:4:4").unique().tolist()
    [1.0]
    """
    luma, chroma = (t.detach().float() for t in tables)
    steps = [q.clone().requires_grad_() for q in (luma, chroma, chroma)]
    alphas = [_HARD / q.detach() ** 2 for q in steps]
    of_bits, of_entropy = [], []
    for z, size in groups:
        bits = jpeg_bits(z, steps, alphas, size=size, subsampling=subsampling, shift=SHIFT)
        slopes = torch.autograd.grad(bits.scan.mean(), steps)
        pairs = list(zip(z, slopes, steps, strict=True))
        of_bits.append(torch.stack([slope * q.detach() for _, slope, q in pairs]))
        of_entropy.append(torch.stack([_entropy_slope(plane, q.detach()) for plane, _, q in pairs]))
    true, estimated = (_mean(torch.stack(each), groups) for each in (of_bits, of_entropy))
    ratio = torch.where(estimated < 0, true / estimated, torch.ones_like(true))
    return ratio.clamp(*_RATE_LIMITS)


def _squared_errors(z: Sequence[Tensor], steps: Sequence[Tensor]) -> Tensor:
    """(3, 8, 8): of an image, summed over its blocks, mean over the images."""
    errors = []
    for plane, q in zip(z, steps, strict=True):
        rounded = torch.round(plane / q).clamp(-MAX_AC, MAX_AC) * q
        errors.append(((plane - rounded) ** 2).sum((1, 2)).mean(0))
    return torch.stack(errors)


def _mean(values: Tensor, groups: Sequence[SizedCoefficients]) -> Tensor:
    """Over the images of all groups, of values (groups, ...) that are means over each."""
    if len(groups) == 1:
        return values[0]
    counts = torch.tensor([len(group.z[0]) for group in groups], dtype=values.dtype)
    return torch.einsum("g...,g->...", values, counts / counts.sum())


def _entropy_slope(z: Tensor, q: Tensor) -> Tensor:
    """(8, 8): bits of an image per log q at every frequency, by entropy, over ± SHIFT."""
    predicted = predict_dc(z)
    up, down = (
        frequency_entropy(predicted, step, _HARD / step**2)
        for step in (q * math.exp(SHIFT), q * math.exp(-SHIFT))
    )
    return (up - down) / (2 * SHIFT) * (z.shape[1] * z.shape[2])


def _shrink(measured: Tensor, deviation: Tensor, predicted: Tensor) -> Tensor:
    """Measured over predicted, pulled to the overall ratio where the measurement is noisy."""
    predicted = predicted.clamp_min(1e-12)
    total = float(measured.sum() / predicted.sum())
    overall = total if total > 0.05 else 1.0
    ratio = measured / (overall * predicted)
    variance = (deviation / (overall * predicted)) ** 2
    prior = _PRIOR_DEVIATION**2
    posterior = (variance + ratio * prior) / (variance + prior)
    return overall * posterior.clamp(*_RATIO_LIMITS)
