"""γ of `adaptive_quality`: how an image's size should grow with what one quality would give it.

Measured, on the judging half of the images, from the losses behind every rung's files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.codec.image import decode, encode
from softjpeg.common.image_sequence import Images, pixel_count
from softjpeg.common.progress import track
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.losses import Loss
from softjpeg.learning.objective import Objective
from softjpeg.learning.relative_loss import weights
from softjpeg.presets.preset import Preset

EXPONENTS = (1.0, 0.75, 0.5, 0.25)
_LEAST_RUNGS = 3


def measured_exponent(
    models: nn.Module | Sequence[nn.Module],
    images: Images,
    presets: Sequence[Preset],
    *,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = False,
) -> float:
    """γ for a ladder of these presets.

    Args:
        models: one or several networks, from (B, 3, H, W) RGB in [0, 1] to outputs (B, ...).
        images: uint8, of any sizes that the networks read; the second half is used.
        presets: the rungs, at least three to choose anything but 1.
        labels: (N,) class indices: the loss is then cross-entropy instead of label-free.
        loss: from (outputs, targets) to the mean over a batch; default: KL divergence.
        batch_size: images a network reads at once.
        seed: of nothing here; what `softjpeg.learn` takes may be passed on.
        progress: show a progress bar on a terminal.

    Returns:
        One of `EXPONENTS`.
    """
    if len(presets) < _LEAST_RUNGS:
        return 1.0
    networks = FrozenNetworks(models, images, labels, loss, batch_size)
    return exponent_on(Objective(networks, presets[0].subsampling, seed), presets, progress)


def exponent_on(objective: Objective, presets: Sequence[Preset], progress: bool = False) -> float:
    """The same for networks that have read their images already.

    Args:
        objective: of the presets' subsampling.
        presets: the rungs, at least three to choose anything but 1.
        progress: show a progress bar on a terminal.
    """
    if len(presets) < _LEAST_RUNGS:
        return 1.0
    units = [(preset, part) for preset in presets for part in objective.judged]
    bits: list[float] = []
    pixels: list[int] = []
    losses: list[Tensor] = []
    for preset, part in track(units, "size exponent", enabled=progress):
        images = list(objective.images[part])
        files = [encode(image, preset) for image in images]
        bits += [8.0 * scan_bytes(data) for data in files]
        pixels += [pixel_count([image]) for image in images]
        losses.append(objective.image_losses(part, [decode(data) for data in files]))
    shape = (len(presets), -1)
    # Per pixel, as `adaptive_quality` has it: a large image is not one of much detail.
    area = np.array(pixels, dtype=np.float64).reshape(shape)[0]
    area /= area.mean()
    size = np.array(bits).reshape(shape) / area
    of_each = torch.cat(losses).reshape(*shape, len(objective.networks))
    combined = (of_each * weights(of_each.mean((0, 1)).tolist())).mean(-1)
    order = size.mean(1).argsort()
    return size_exponent(np.maximum.accumulate(size[order]), combined.numpy()[order], area)


def size_exponent(bits: Any, losses: Any, area: Any = 1.0) -> float:
    """γ of least mean loss at equal mean bits, geometric mean over the inner rates.

    Args:
        bits: (settings, images) > 0 of scans, rising over the settings.
        losses: of the same shape.
        area: (images,) > 0 that `bits` are per unit of, where images are of several sizes.

    Returns:
        One of `EXPONENTS`.

    >>> bits = np.array([[1.0, 4.0], [2.0, 8.0], [4.0, 16.0], [8.0, 32.0]])
    >>> size_exponent(bits, 1 / bits)
    0.25
    """
    logs, losses = np.log(np.asarray(bits, np.float64)), np.asarray(losses, np.float64)

    def loss(exponent: float, setting: int) -> float:
        spread = exponent * (logs[setting] - logs[setting].mean())
        budget = (area * np.exp(logs[setting])).mean()
        low, high = logs.min() - 5, logs.max() + 5
        for _ in range(40):
            middle = (low + high) / 2
            wanted = np.clip(middle + spread, logs[0], logs[-1])
            low, high = (middle, high) if (area * np.exp(wanted)).mean() < budget else (low, middle)
        there = [np.interp(w, x, y) for w, x, y in zip(wanted, logs.T, losses.T, strict=True)]
        return max(float(np.mean(there)), 1e-9)

    inner = range(1, len(logs) - 1)
    costs = {e: sum(math.log(loss(e, i)) for i in inner) for e in EXPONENTS}
    return min(EXPONENTS, key=costs.__getitem__)
