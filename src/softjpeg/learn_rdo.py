"""Learning for the mode "rdo": what the network minds, and whether decisions by it pay.

The gradient's moments at the learned tables make a `Distortion`. Where its components make up for
each other's errors, tables are allocated again for the sensitivities that are left. Whether that,
and the trellis, gain anything is measured on the judging half with real files.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from softjpeg.checkpoint import Candidate
from softjpeg.codec import encode
from softjpeg.codec.image import decode
from softjpeg.distortion import Distortion
from softjpeg.distortion_statistics import GradientMoments, distortion_from, gradient_moments
from softjpeg.preset import Preset
from softjpeg.progress import track
from softjpeg.rate_control import RateControl, Tables
from softjpeg.relative_loss import combined, weights
from softjpeg.task import Task

STRENGTHS = (0.0, 0.5, 0.75)
"""Shares of the λ that tables were allocated with: the trellis drops what they only just keep."""
_IMAGES = 96
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


def decided(
    task: Task,
    control: RateControl,
    learned: Candidate,
    found: GradientMoments,
    scales: list[float],
) -> tuple[Tables, Distortion, dict[str, list[float]]]:
    """Tables and `Distortion` of least loss + λ·rate in mode "rdo".

    Args:
        task: networks and images.
        control: of the rate.
        learned: tables, what they believe and their λ.
        found: moments of the gradient.
        scales: loss of each network behind default tables.

    Returns:
        Tables, model, and by name the (loss, bits per pixel) of what was tried.
    """
    sensitivity, factor = learned.belief
    model = distortion_from(found, sensitivity, 0.0)
    own = found.products[0].mean() / found.images
    # A belief may be on a scale of its own; only its ratio to λ tells anything.
    model = replace(model, rate_weight=learned.rate_weight / control.pixels)
    candidates = {"learned": learned.tables}
    if model.correlation.any() and own > 0:
        left = torch.from_numpy(model.conditional()).float()
        candidates["conditional"] = control.solve((left, factor))[0]
    tried: dict[str, tuple[Tables, Distortion, list[float]]] = {}
    for name, tables in candidates.items():
        for strength in STRENGTHS:
            if name == "conditional" and strength == 0:
                continue
            trial = replace(model, rate_weight=strength * model.rate_weight)
            cost = _measured(task, tables, trial, scales)
            tried[f"{name}, {strength} λ"] = tables, trial, cost
    weight = learned.rate_weight
    best = min(tried.values(), key=lambda t: t[2][0] + weight * t[2][1])
    return best[0], best[1], {name: t[2] for name, t in tried.items()}


def _measured(task: Task, tables: Tables, model: Distortion, scales: list[float]) -> list[float]:
    """(loss, bits per pixel) of real files of some images of the judging half."""
    luma, chroma = (t.round().long().numpy() for t in tables)
    preset = Preset(luma, chroma, subsampling=task.subsampling, distortion=model)
    mode = "rdo" if model.rate_weight or model.correlation.any() else "hard"
    losses, size, images = [], 0, 0
    for whole in task.judged:
        if images >= _IMAGES:
            break
        part = slice(whole.start, min(whole.stop, whole.start + _IMAGES - images))
        files = [encode(image, preset, mode) for image in task.images[part]]
        shown = torch.stack([decode(data) for data in files])
        losses.append(task.losses_of(part, shown))
        size += sum(map(len, files))
        images += len(files)
    mean = torch.tensor(losses, dtype=torch.float64).mean(0)
    loss = combined(mean, scales, worst_case=task.worst_case)
    pixels = task.images.shape[-1] * task.images.shape[-2]
    return [float(loss), 8 * size / (images * pixels)]
