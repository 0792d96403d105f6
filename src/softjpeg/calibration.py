"""What a step really costs, band by band: finite differences of the loss and of JPEG's own bits.

Bit allocation believes in a quadratic loss and in entropy. Both mislead in places: a local gradient
exaggerates what a network loses at high frequencies, where a whole step is far outside the linear
range, and entropy knows nothing of runs and end-of-block codes. So in each of a few frequency bands
all steps are moved up and down together, the loss and the Huffman bits are measured, and the ratio
to what the closed form predicts corrects it, as far as its standard error allows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.entropy.limits import MAX_AC
from softjpeg.rate import entropy_bits, scan_bits_batch

SHIFT = 0.2
"""How far a band's steps are moved, in log q: about 22 % up and 18 % down."""
_PRIOR_DEVIATION = 0.5
_RATIO_LIMITS = (0.1, 4.0)


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


def shifted_tables(tables: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(luma, chroma) with each band's steps moved by +SHIFT and then -SHIFT, float.

    >>> len(shifted_tables((torch.full((8, 8), 16), torch.full((8, 8), 16))))
    16
    """
    luma, chroma = (t.float() for t in tables)
    return [
        # At 1 and 255 a step stays: JPEG has no finer and no coarser one.
        (
            (luma * torch.exp(sign * SHIFT * mask[0])).clamp(1, 255),
            (chroma * torch.exp(sign * SHIFT * mask[1])).clamp(1, 255),
        )
        for mask in frequency_bands()
        for sign in (1, -1)
    ]


def correct(
    losses: Tensor,
    coefficients: tuple[Tensor, ...],
    tables: tuple[Tensor, Tensor],
    sensitivity: Tensor,
    size: tuple[int, int],
    subsampling: str,
) -> tuple[Tensor, Tensor]:
    """Factors on the sensitivity and on the entropy that the measurements ask for.

    Args:
        losses: (batches, 16), mean loss of a batch at each of `shifted_tables`.
        coefficients: (Y, Cb, Cr) of some images, each (B, rows, columns, 8, 8).
        tables: (luma, chroma) about which the steps were moved.
        sensitivity: (3, 8, 8) that the closed form would use.
        size: (height, width) of the images.
        subsampling: of the images.

    Returns:
        (loss, rate): (3, 8, 8) each, constant within a band.
    """
    slopes = (losses[:, 0::2] - losses[:, 1::2]).double() / (2 * SHIFT)
    measured = slopes.mean(0)
    deviation = slopes.std(0) / len(slopes) ** 0.5 if len(slopes) > 1 else measured.abs()
    errors, bits, entropies = [], [], []
    for luma, chroma in shifted_tables(tables):
        steps = (luma, chroma, chroma)
        indices = [
            torch.round(z / q).clamp(-MAX_AC, MAX_AC)
            for z, q in zip(coefficients, steps, strict=True)
        ]
        squared = [
            ((z - i * q) ** 2).sum((1, 2)).mean(0)
            for z, i, q in zip(coefficients, indices, steps, strict=True)
        ]
        errors.append(0.5 * float((sensitivity * torch.stack(squared)).sum()))
        counted = [i.to(torch.int32).numpy() for i in indices]
        bits.append(float(scan_bits_batch(counted, size=size, subsampling=subsampling).mean()))
        # So sharp a CPMF is hard rounding.
        entropies.append(float(entropy_bits(coefficients, steps, [1e5 / q**2 for q in steps])))
    predicted, true, estimated = (
        (torch.tensor(x, dtype=torch.float64)[0::2] - torch.tensor(x)[1::2]) / (2 * SHIFT)
        for x in (errors, bits, entropies)
    )
    ratio = _shrink(measured, deviation, predicted)
    rate = torch.where(estimated < 0, true / estimated, torch.ones_like(true))
    masks = frequency_bands()
    return (
        torch.einsum("b,bchw->chw", ratio.float(), masks),
        torch.einsum("b,bchw->chw", rate.clamp(0.5, 2.0).float(), masks),
    )


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
