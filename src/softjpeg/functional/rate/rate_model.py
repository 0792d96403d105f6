"""The two estimates of a scan's bits that gradients flow through, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.rate.jpeg_bits import jpeg_bits
from softjpeg.jpeg.subsampling import Subsampling

RateModel = Literal["entropy", "jpeg"]
"""J4D's analytic entropy, or the bits that JPEG's own code is expected to take."""


def check_rate_model(rate: str) -> None:
    """Raise ValueError unless `rate` is a `RateModel`."""
    if rate not in get_args(RateModel):
        raise ValueError(f"rate must be {' or '.join(get_args(RateModel))}, got {rate!r}")


def scan_bits_by(
    rate: RateModel,
    coefficients: Sequence[Tensor],
    tables: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    levels: int | None = None,
    window: int | None = None,
    shift: float | None = None,
) -> Tensor:
    """Bits of one image's scan, mean over a batch, when indices are drawn from the CPMF.

    Args:
        rate: "entropy" for `entropy_bits`, "jpeg" for `jpeg_bits(...).scan`.
        coefficients: (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8), float, pixel scale.
        tables, alphas: one (8, 8) per component, steps > 0 and sharpness α = hardness / q².
        size: (height, width) of the images.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        levels, window: of "entropy", as in `cpmf`; "jpeg" has JPEG's own limits.
        shift: of "jpeg", as in `jpeg_bits`.

    Returns:
        Scalar ≥ 0, differentiable once. Divide by the pixels for bits per pixel.

    Raises:
        ValueError: an unknown `rate`, or for the reasons of these two.

    >>> import torch
    >>> z, q = torch.zeros(1, 1, 2, 8, 8), torch.ones(8, 8)
    >>> [scan_bits_by(r, [z], [q], [1000 * q], size=(8, 16)).item() for r in ("entropy", "jpeg")]
    [0.0, 4.0]
    """
    check_rate_model(rate)
    if rate == "entropy":
        return entropy_bits(coefficients, tables, alphas, levels=levels, window=window)
    return jpeg_bits(
        coefficients, tables, alphas, size=size, subsampling=subsampling, shift=shift
    ).scan.mean()
