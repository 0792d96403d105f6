"""Operating points of an encoder: what one costs, what it keeps, and how two encoders compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class PerImage:
    """What came of every image (N,), in their order.

    Attributes:
        bytes: of the whole file.
        scan_bytes: of entropy-coded data; NaN in files that are no JPEG.
        agree: 1 where the network gives its own answer for the uncompressed image.
        kl: KL divergence (nats) from its output on the uncompressed image.
        cosine: cosine distance of the two outputs.
        correct: 1 where it gives the label, NaN for an image without; None without labels.
        ssim: structural similarity of what the file shows; None where it was not asked for.
    """

    bytes: npt.NDArray[np.float64]
    scan_bytes: npt.NDArray[np.float64]
    agree: npt.NDArray[np.float64]
    kl: npt.NDArray[np.float64]
    cosine: npt.NDArray[np.float64]
    correct: npt.NDArray[np.float64] | None = None
    ssim: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class RatePoint:
    """One encoder setting on one set of images.

    Attributes:
        name: the preset's name, "default q 50" or "uncompressed".
        mode: "hard", "probabilistic" or "rdo" of a preset; "default", "none", or "other".
        subsampling: of the files; "" where they are no JPEG.
        bytes_per_file: mean size of a whole file.
        bpp: bits of whole files per pixel.
        scan_bpp: bits of entropy-coded data per pixel; NaN where files are no JPEG.
        top1: share of the labelled images whose label the network gives; None without labels.
        agreement: share on which it gives its own answer for the uncompressed image.
        kl: mean KL divergence (nats) from its output on the uncompressed image.
        cosine: mean cosine distance of its output from that on the uncompressed image.
        curve: the encoder this is a setting of: "learned", "default 4:2:0", "webp", ...
        reader: the network that was asked; "" where there is one.
        ssim: mean structural similarity of what the files show to the images: what they cost the
            eye; NaN where it was not asked for.
        images: the same image by image.
    """

    name: str
    mode: str
    subsampling: str
    bytes_per_file: float
    bpp: float
    scan_bpp: float
    top1: float | None
    agreement: float
    kl: float
    cosine: float = math.nan
    curve: str = ""
    reader: str = ""
    ssim: float = math.nan
    images: PerImage | None = field(default=None, repr=False, compare=False)


def at_equal_bpp(reference: Sequence[RatePoint], bpp: float, field: str) -> float:
    """The reference's `field` at a rate, linear between its two neighbouring points.

    Args:
        reference: points of one encoder, any order.
        bpp: whole-file bits per pixel.
        field: "top1", "agreement", "kl" or "scan_bpp".

    Returns:
        NaN where `bpp` is outside the reference's range.

    >>> low = RatePoint("a", "default", "4:2:0", 1, 1.0, 0.9, 0.5, 0.5, 0.4)
    >>> high = RatePoint("b", "default", "4:2:0", 1, 2.0, 1.9, 0.7, 0.7, 0.2)
    >>> round(at_equal_bpp([low, high], 1.5, "top1"), 3)
    0.6
    """
    pairs = [(p.bpp, getattr(p, field)) for p in reference]
    for (x0, y0), (x1, y1) in pairwise(sorted((x, y) for x, y in pairs if y is not None)):
        if x0 <= bpp <= x1:
            value: float = y0 if x1 == x0 else y0 + (y1 - y0) * (bpp - x0) / (x1 - x0)
            return value
    return math.nan


def table(points: Sequence[RatePoint], title: str | None = None) -> Table:
    """The points as a rich table, one a row."""
    from rich.table import Table

    labelled = any(p.top1 is not None for p in points)
    readers = any(p.reader for p in points)
    seen = any(not math.isnan(p.ssim) for p in points)
    view = Table(title=title)
    if readers:
        view.add_column("reader")
    view.add_column("encoder")
    view.add_column("sampling")
    numbers = ["bytes/file", "bpp", "scan bpp"] + ["top-1 %"] * labelled + ["agree %", "KL (nats)"]
    for name in numbers + ["SSIM"] * seen:
        view.add_column(name, justify="right")
    for p in points:
        accuracy = [] if not labelled else ["" if p.top1 is None else f"{100 * p.top1:.1f}"]
        view.add_row(
            *[p.reader] * readers,
            p.name + (" (sampled)" if p.mode == "probabilistic" else ""),
            p.subsampling,
            f"{p.bytes_per_file:,.0f}",
            f"{p.bpp:.3f}",
            "" if math.isnan(p.scan_bpp) else f"{p.scan_bpp:.3f}",
            *accuracy,
            f"{100 * p.agreement:.1f}",
            f"{p.kl:.4f}",
            *["" if math.isnan(p.ssim) else f"{p.ssim:.4f}"] * seen,
        )
    return view
