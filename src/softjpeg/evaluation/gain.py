"""Every encoder against a reference: BD-rate and J4D's two headline figures, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softjpeg.evaluation import bd_rate as bd
from softjpeg.evaluation.bootstrap import Estimate, estimate, resample_means
from softjpeg.evaluation.points import RatePoint

if TYPE_CHECKING:
    from rich.table import Table

RATES = ("bpp", "scan_bpp")
QUALITIES = ("kl", "agreement", "top1", "ssim")


@dataclass(frozen=True)
class Gain:
    """One curve against the reference, on Pareto fronts, without extrapolation.

    Where `quality` is "kl", qualities are compared as -log KL: `bd_quality` and `best_gain` are
    then shares of the reference's KL that are gone at equal rate, and likewise of 1 - SSIM where it
    is "ssim"; otherwise they are differences of shares of images (0.01 is one point). The largest
    of several noisy differences is flattered by the noise; its interval shows by how much it could
    be otherwise, not the flattery.

    Attributes:
        curve, reader: whose.
        rate: "bpp" (whole files) or "scan_bpp".
        quality: "kl", "agreement", "top1" or "ssim".
        bd_rate: mean share of bytes more (negative: fewer) at equal quality.
        bd_quality: mean quality gained at equal rate.
        low, high: of the measure, the range that `bd_rate` is a mean over.
        best_gain: the largest quality gained at equal rate; `best_gain_at` is that rate.
        best_saving: the largest share of bytes saved at equal quality; `best_saving_at` is that
            measure.
    """

    curve: str
    reader: str
    rate: str
    quality: str
    bd_rate: Estimate
    bd_quality: Estimate
    low: float
    high: float
    best_gain: Estimate
    best_gain_at: float
    best_saving: Estimate
    best_saving_at: float


def gains(
    points: Sequence[RatePoint],
    *,
    curves: Sequence[str] | None = None,
    reference: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Gain]:
    """Every curve, as every network reads it, against the best of the reference curves.

    Args:
        points: as `evaluate` or `judge` return them, with `curve` set.
        curves: which to compare; default: all but the reference.
        reference: curves whose common Pareto front is the reference; default: default JPEG.
        resamples: of the images, for the intervals; the same for every curve.
        seed: of the resamples.

    Returns:
        In the order of curves, readers, `QUALITIES` and `RATES`; measures that the points lack
        (top1 without labels, SSIM not asked for, scans of files that are no JPEG) are left out.

    >>> def line(curve, name, bpp, kl):
    ...     return RatePoint(name, "other", "", bpp, bpp, bpp, None, 0.5, kl, curve=curve)
    >>> default = [line("d", "d1", 1.0, 0.4), line("d", "d2", 4.0, 0.1)]
    >>> mine = [line("m", "m1", 0.5, 0.4), line("m", "m2", 2.0, 0.1)]
    >>> (first, *_) = gains(default + mine, reference=["d"], resamples=0)
    >>> first.curve, first.quality, round(first.bd_rate.value, 6)
    ('m', 'kl', -0.5)
    """
    if reference is None:
        reference = list(dict.fromkeys(p.curve for p in points if p.mode == "default"))
    if curves is None:
        curves = list(dict.fromkeys(p.curve for p in points if p.mode != "none"))
        curves = [curve for curve in curves if curve not in reference]
    means = resample_means(points, resamples, seed)
    results = []
    for curve in curves:
        for reader in dict.fromkeys(p.reader for p in points):
            columns, reference_columns = (
                [i for i, p in enumerate(points) if p.reader == reader and p.curve in names]
                for names in ([curve], reference)
            )
            for quality in QUALITIES:
                for rate in RATES:
                    if not _known(means, columns, rate, quality):
                        continue
                    if not _known(means, reference_columns, rate, quality):
                        continue
                    results.append(
                        _gain(means, columns, reference_columns, (curve, reader, rate, quality))
                    )
    return results


def headline(gain: Gain) -> str:
    """The two figures of J4D's abstract in a sentence: accuracy gained and bytes saved.

    >>> none = Estimate(math.nan, math.nan, math.nan)
    >>> headline(Gain("mine", "", "bpp", "top1", none, none, 0.2, 0.9, Estimate(0.116, 0.1, 0.13),
    ...     0.45, Estimate(0.8, 0.7, 0.85), 0.784))
    'mine: +11.6 points of top-1 at 0.450 bpp, 80.0 % fewer bytes at 78.4 % top-1'
    """
    what = {"top1": "top-1", "agreement": "agreement", "kl": "KL", "ssim": "SSIM"}[gain.quality]
    rate = {"bpp": "bpp", "scan_bpp": "bpp of scans"}[gain.rate]
    parts = []
    if not math.isnan(gain.best_gain.value):
        sign, unit = (-1, "%") if gain.quality == "kl" else (1, "points")
        gained = f"{sign * 100 * gain.best_gain.value:+.1f} {unit} of {what}"
        parts.append(f"{gained} at {gain.best_gain_at:.3f} {rate}")
    if not math.isnan(gain.best_saving.value):
        at = gain.best_saving_at
        place = f"KL {at:.3g}" if gain.quality == "kl" else f"{100 * at:.1f} % {what}"
        share = 100 * gain.best_saving.value
        parts.append(f"{abs(share):.1f} % {'fewer' if share >= 0 else 'more'} bytes at {place}")
    return f"{gain.curve}: " + (", ".join(parts) or "nothing in common with the reference")


def gains_table(measured: Sequence[Gain], title: str | None = None) -> Table:
    """One row for each curve and network: BD-rates, then the two headline figures."""
    from rich.table import Table

    readers = any(g.reader for g in measured)
    second = "top1" if any(g.quality == "top1" for g in measured) else "agreement"
    word = "top-1" if second == "top1" else "agreement"
    caption = "below each figure its 95 % interval over images; BD-rate: negative is fewer bytes"
    view = Table(title=title, caption=caption)
    for name in ["encoder"] + ["reader"] * readers:
        view.add_column(name)
    heads = ["BD-rate %, equal KL", "the same, scans only", f"BD-rate %, equal {word}"]
    best_heads = [f"most points of {word} at equal bytes", f"most bytes saved % at equal {word}"]
    seen = any(g.quality == "ssim" for g in measured)
    for head in [*heads, *best_heads, *["BD-rate %, equal SSIM"] * seen]:
        view.add_column(head, justify="right")
    by_row: dict[tuple[str, str], dict[tuple[str, str], Gain]] = {}
    for g in measured:
        by_row.setdefault((g.curve, g.reader), {})[g.quality, g.rate] = g
    for (curve, reader), row in by_row.items():
        rates = [row.get(key) for key in (("kl", "bpp"), ("kl", "scan_bpp"), (second, "bpp"))]
        best, eye = row.get((second, "bpp")), row.get(("ssim", "bpp"))
        view.add_row(
            curve,
            *[reader] * readers,
            *["" if g is None else _percent(g.bd_rate) for g in rates],
            "" if best is None else _percent(best.best_gain),
            "" if best is None else _percent(best.best_saving),
            *["" if eye is None else _percent(eye.bd_rate)] * seen,
        )
    return view


def _known(
    means: Mapping[str, npt.NDArray[np.float64]], columns: list[int], rate: str, quality: str
) -> bool:
    both = means[rate][0, columns] + means[quality][0, columns]
    return bool(np.isfinite(both).any())


def _gain(
    means: Mapping[str, npt.NDArray[np.float64]],
    curve_columns: list[int],
    reference_columns: list[int],
    names: tuple[str, str, str, str],
) -> Gain:
    _, _, rate, quality = names
    values = bd.as_quality(means[quality], quality)
    curve, reference = (
        bd.front(means[rate][:, columns], values[:, columns])
        for columns in (curve_columns, reference_columns)
    )
    gain, gain_at = bd.best_gain(curve, reference)
    saving, saving_at = bd.best_saving(curve, reference)
    mean_gain = bd.bd_quality(curve, reference)
    low, high = (float(bound[0]) for bound in bd.common_quality(curve, reference))
    if quality in ("kl", "ssim"):
        gain, mean_gain = -np.expm1(-gain), -np.expm1(-mean_gain)
    if quality == "kl":
        low, high, saving_at = math.exp(-high), math.exp(-low), np.exp(-saving_at)
    elif quality == "ssim":
        low, high, saving_at = -math.expm1(-low), -math.expm1(-high), -np.expm1(-saving_at)
    return Gain(
        *names,
        bd_rate=estimate(bd.bd_rate(curve, reference)),
        bd_quality=estimate(mean_gain),
        low=low,
        high=high,
        best_gain=estimate(gain),
        best_gain_at=float(gain_at[0]),
        best_saving=estimate(saving),
        best_saving_at=float(saving_at[0]),
    )


def _percent(figure: Estimate) -> str:
    if math.isnan(figure.value):
        return "–"
    words = f"{100 * figure.value:+.1f}"
    if math.isnan(figure.low):
        return words
    return f"{words}\n{100 * figure.low:+.1f}…{100 * figure.high:+.1f}"
