"""Learning for the mode "rdo": a distortion model, and whether decisions by it pay.

The gradient's moments at the learned tables make a `DistortionModel`. Where its components make up
for each other's errors, tables are allocated again for the sensitivities that are left. Whether
that, and the trellis, gain anything is measured on the judging half with real files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.codec.image import decode, encode
from softjpeg.common.image_sequence import pixel_count
from softjpeg.common.progress import track
from softjpeg.learning.gradient_moments import GradientMoments, distortion_from, gradient_moments
from softjpeg.learning.image_rates import Tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import QuadraticModel
from softjpeg.learning.relative_loss import combined, weights
from softjpeg.learning.run_options import Mode
from softjpeg.learning.state import RateResult
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.preset import Preset

STRENGTHS = (0.0, 0.25, 0.5)
"""Shares of the λ that the learned tables were allocated with: at all of it, the trellis drops what
they only just keep."""
_IMAGES = 128
_SEED = 1 << 20
"""Added to the run's: other labels are drawn here than in its passes."""


@dataclass(frozen=True)
class Trial:
    """Tables and a model, and what real files in mode "rdo" cost with them.

    Attributes:
        tables: (luma, chroma).
        distortion: with the λ tried.
        loss, bpp: measured.
        cost: how much more loss + λ·rate is than with plain rounding, as a share of λ·rate.
    """

    tables: Tables
    distortion: DistortionModel
    loss: float
    bpp: float
    cost: float


def best_trials(
    objective: Objective, results: Sequence[RateResult], progress: bool = False
) -> list[Trial]:
    """What to use in mode "rdo" at each rate of a ladder: one combination for all.

    Args:
        objective: networks and images.
        results: what was learned at each rate.
        progress: show a progress bar on a terminal.
    """
    moments = _moments(objective, results[len(results) // 2], progress)
    tried = [_trials(objective, result, moments) for result in results]
    # What costs least over all rates: at one rate alone chance would choose.
    best = min(tried[0], key=lambda name: sum(trials[name].cost for trials in tried))
    return [trials[best] for trials in tried]


def _moments(objective: Objective, result: RateResult, progress: bool) -> GradientMoments:
    """Of the measuring half of the images, networks weighted as `learn` does."""
    total: GradientMoments | None = None
    tables = result.learned.tables
    shares = (weights(result.gain.default_losses) / len(objective.networks)).tolist()
    for i, part in enumerate(track(objective.measured, "distortion", enabled=progress)):
        generator = objective.draws(_SEED + i)
        for k, z, gradient in objective.gradients(part, tables, generator):
            moments = gradient_moments(z, gradient, tables[0]).weighted(shares[k])
            total = moments if total is None else total + moments
    assert total is not None
    # Every network sees the same images: they count once.
    return replace(total, images=total.images // len(shares))


def _trials(objective: Objective, result: RateResult, moments: GradientMoments) -> dict[str, Trial]:
    """What may be used at one rate, measured; plain rounding first."""
    control, learned, gain = result
    sensitivity, rate_factor = learned.model
    # A sensitivity may be on a scale of its own; only its ratio to λ counts.
    model = distortion_from(moments, sensitivity, learned.rate_weight / control.rates.pixels)
    candidates = {"learned": learned.tables}
    if model.correlation.any():
        left = torch.from_numpy(model.conditional()).float()
        candidates["conditional"] = control.solve(QuadraticModel(left, rate_factor))[0]
    tried: dict[str, Trial] = {}
    for name, tables in candidates.items():
        for strength in STRENGTHS if name == "learned" else STRENGTHS[1:]:
            trial = replace(model, rate_weight=strength * model.rate_weight)
            if not strength:
                trial = replace(trial, correlation=0 * trial.correlation)
            loss, bpp = _measured(objective, tables, trial, gain.default_losses)
            cost = loss + learned.rate_weight * bpp
            plain = next(iter(tried.values())) if tried else None
            base = cost if plain is None else plain.loss + learned.rate_weight * plain.bpp
            # As a share of the bytes: a loss of the user's own may be of any sign.
            more = (cost - base) / (learned.rate_weight * (plain.bpp if plain else bpp))
            tried[f"{name}, {strength} λ"] = Trial(tables, trial, loss, bpp, more)
    return tried


def _measured(
    objective: Objective, tables: Tables, model: DistortionModel, scales: list[float]
) -> tuple[float, float]:
    """(loss, bits per pixel) of real files of some images of the judging half."""
    luma, chroma = (t.round().long().numpy() for t in tables)
    preset = Preset(
        luma,
        chroma,
        subsampling=objective.subsampling,
        distortion=model,
        short_side=objective.short_side,
        center=objective.center,
    )
    mode: Mode = "rdo" if model.rate_weight or model.correlation.any() else "hard"
    losses: list[list[float]] = []
    counts: list[int] = []
    size = pixels = 0
    for batch in objective.judged:
        if sum(counts) >= _IMAGES:
            break
        part = slice(batch.start, min(batch.stop, batch.start + _IMAGES - sum(counts)))
        images = objective.images[part]
        files = [encode(image, preset, mode) for image in images]
        shown = [decode(data) for data in files]
        losses.append(objective.file_losses(part, shown))
        counts.append(len(files))
        size += sum(map(len, files))
        pixels += pixel_count(images)
    share = torch.tensor(counts, dtype=torch.float64)
    mean = share @ torch.tensor(losses, dtype=torch.float64) / share.sum()
    loss = combined(mean, scales, worst_case=objective.worst_case)
    return float(loss), bits_per_pixel(size, pixels)
