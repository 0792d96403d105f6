"""Learning for the mode "rdo": what the network minds, and whether decisions by it pay.

The gradient's moments at the learned tables make a `DistortionModel`. Where its components make up
for each other's errors, tables are allocated again for the sensitivities that are left. Whether
that, and the trellis, gain anything is measured on the judging half with real files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from softjpeg.codec.image import Mode, decode, encode
from softjpeg.common.progress import track
from softjpeg.learning.checkpoint import Candidate
from softjpeg.learning.gradient_moments import GradientMoments, distortion_from, gradient_moments
from softjpeg.learning.rate_control import RateControl, Tables
from softjpeg.learning.relative_loss import combined, weights
from softjpeg.learning.task import Task
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.preset import Preset

STRENGTHS = (0.0, 0.25, 0.5)
"""Shares of the λ that the learned tables were allocated with: at all of it, the trellis drops what
they only just keep."""
_IMAGES = 128
_SEED = 1 << 20
"""Added to the run's: other labels are drawn here than in its passes."""


def moments(task: Task, tables: Tables, scales: list[float], progress: bool) -> GradientMoments:
    """Of the measuring half of the images, networks weighted as `learn` does."""
    total: GradientMoments | None = None
    shares = (weights(scales) / len(task.models)).tolist()
    for i, part in enumerate(track(task.measured, "distortion", enabled=progress)):
        generator = torch.Generator().manual_seed((task.seed << 32) + _SEED + i)
        for share, (z, gradients) in zip(
            shares, task.gradients(part, tables, generator), strict=True
        ):
            found = gradient_moments(z, gradients, tables[0]).weighted(share)
            total = found if total is None else total + found
    assert total is not None
    # Every network sees the same images: they count once.
    return replace(total, images=total.images // len(shares))


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


def trials(
    task: Task,
    control: RateControl,
    learned: Candidate,
    found: GradientMoments,
    scales: list[float],
) -> dict[str, Trial]:
    """What may be used in mode "rdo" at one rate, measured; plain rounding first.

    Args:
        task: networks and images.
        control: of the rate.
        learned: tables, what they believe and their λ.
        found: moments of the gradient.
        scales: loss of each network behind default tables.
    """
    sensitivity, factor = learned.belief
    # A belief may be on a scale of its own; only its ratio to λ tells anything.
    model = distortion_from(found, sensitivity, learned.rate_weight / control.pixels)
    candidates = {"learned": learned.tables}
    if model.correlation.any():
        left = torch.from_numpy(model.conditional()).float()
        candidates["conditional"] = control.solve((left, factor))[0]
    tried: dict[str, Trial] = {}
    for name, tables in candidates.items():
        for strength in STRENGTHS if name == "learned" else STRENGTHS[1:]:
            trial = replace(model, rate_weight=strength * model.rate_weight)
            if not strength:
                trial = replace(trial, correlation=0 * trial.correlation)
            loss, bpp = _measured(task, tables, trial, scales)
            cost = loss + learned.rate_weight * bpp
            plain = next(iter(tried.values())) if tried else None
            base = cost if plain is None else plain.loss + learned.rate_weight * plain.bpp
            # As a share of the bytes: a loss of the user's own may be of any sign.
            more = (cost - base) / (learned.rate_weight * (plain.bpp if plain else bpp))
            tried[f"{name}, {strength} λ"] = Trial(tables, trial, loss, bpp, more)
    return tried


def best_trial(at_rates: Sequence[Mapping[str, Trial]]) -> str:
    """What costs least over all rates of a ladder: at one rate alone chance would choose."""
    return min(at_rates[0], key=lambda name: sum(tried[name].cost for tried in at_rates))


def _measured(
    task: Task, tables: Tables, model: DistortionModel, scales: list[float]
) -> tuple[float, float]:
    """(loss, bits per pixel) of real files of some images of the judging half."""
    luma, chroma = (t.round().long().numpy() for t in tables)
    preset = Preset(luma, chroma, subsampling=task.subsampling, distortion=model)
    mode: Mode = "rdo" if model.rate_weight or model.correlation.any() else "hard"
    losses, shares, size, images = [], [], 0, 0
    for whole in task.judged:
        if images >= _IMAGES:
            break
        part = slice(whole.start, min(whole.stop, whole.start + _IMAGES - images))
        files = [encode(image, preset, mode) for image in task.images[part]]
        shown = torch.stack([decode(data) for data in files])
        losses.append(task.losses_of(part, shown))
        shares.append(len(files))
        size += sum(map(len, files))
        images += len(files)
    counts = torch.tensor(shares, dtype=torch.float64)
    mean = counts @ torch.tensor(losses, dtype=torch.float64) / counts.sum()
    loss = combined(mean, scales, worst_case=task.worst_case)
    pixels = task.images.shape[-1] * task.images.shape[-2]
    return float(loss), 8 * size / (images * pixels)
