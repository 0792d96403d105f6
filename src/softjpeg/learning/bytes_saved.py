"""What was gained, in bytes: how many default JPEG needs for the same loss, with an interval.

Both are real files of images of the judging half, default JPEG's at their own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.codec.image import decode, encode
from softjpeg.common.progress import track
from softjpeg.learning.objective import Objective
from softjpeg.presets.preset import Preset

Array = npt.NDArray[np.float64]

_RATIO = 1.25
"""From one rate of default JPEG to the next."""
_RANGE = 0.8, 2.0
"""Of the presets' rates, as multiples."""
_IMAGES = 128
_RESAMPLES = 500


def with_bytes_saved(
    objective: Objective, presets: Sequence[Preset], progress: bool = False
) -> list[Preset]:
    """Presets whose provenance says what share of default JPEG's bytes each saves at equal loss.

    Args:
        objective: of the presets' subsampling; its networks are asked one by one.
        presets: whose provenance has "learned" with their "bpp".
        progress: show a progress bar on a terminal.

    Returns:
        The presets with "saved" in "learned": for each network the share and its 95 % interval over
        images. Losses beyond what default JPEG was measured at, from .8 to 2 times the presets'
        rates, count as the nearest there.
    """
    default = objective.storing(short_side=None, center=None).rates
    rates = [preset.provenance["learned"]["bpp"] for preset in presets]
    low, high = min(rates) * _RANGE[0], max(rates) * _RANGE[1]
    steps = int(np.ceil(np.log(high / low) / np.log(_RATIO)))
    defaults = [
        Preset(luma.numpy(), chroma.numpy(), subsampling=objective.subsampling)
        for bpp in low * (high / low) ** np.linspace(0, 1, steps + 1)
        for luma, chroma in [default.default_reaching(float(bpp))]
    ]
    files = [*defaults, *presets]
    measured = [
        _measured(objective, preset)
        for preset in track(files, "bytes saved", len(files), enabled=progress)
    ]
    sizes, losses = (np.stack(part) for part in zip(*measured, strict=True))
    shares = resampled(sizes.shape[1], objective.seed)
    saved = [
        saved_at_equal_loss(sizes @ shares.T, losses[..., k] @ shares.T, len(defaults))
        for k in range(losses.shape[2])
    ]
    return [
        _noted(preset, [with_interval(s[i]) for s in saved]) for i, preset in enumerate(presets)
    ]


def saved_at_equal_loss(sizes: Array, losses: Array, defaults: int) -> Array:
    """Shares of default JPEG's bytes that other files save.

    Args:
        sizes: (files, resamples) bytes; the first `defaults` rows are default JPEG's, rising.
        losses: of the same shape.
        defaults: rows of default JPEG.

    Returns:
        (files - defaults, resamples); negative where more bytes are needed. Between two rates of
        default JPEG the loss is taken as linear in the log of the bytes.

    >>> sizes, losses = np.array([[100.0], [400.0], [100.0]]), np.array([[3.0], [1.0], [2.0]])
    >>> saved_at_equal_loss(sizes, losses, 2).round(6)
    array([[0.5]])
    """
    # A curve that rises with the bytes is held level.
    curve = np.minimum.accumulate(losses[:defaults], 0)[::-1]
    logs = np.log(sizes)
    needed = np.array(
        [
            [np.interp(x, curve[:, j], logs[defaults - 1 :: -1, j]) for j, x in enumerate(row)]
            for row in losses[defaults:]
        ]
    )
    return np.asarray(1 - np.exp(logs[defaults:] - needed))


def _measured(objective: Objective, preset: Preset) -> tuple[Array, Array]:
    """(images,) bytes and (images, networks) losses of some images of the judging half."""
    sizes: list[int] = []
    losses: list[Array] = []
    for batch in objective.judged:
        if len(sizes) >= _IMAGES:
            break
        files = [encode(image, preset) for image in objective.images[batch]]
        sizes += map(len, files)
        losses.append(objective.image_losses(batch, [decode(file) for file in files]).numpy())
    return np.array(sizes, dtype=np.float64), np.concatenate(losses)


def resampled(count: int, seed: int) -> Array:
    """(1 + resamples, images): what each image counts, as they are and drawn anew.

    Args:
        count: of the images.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, _RESAMPLES)
    return np.vstack([np.ones(count), drawn])


def with_interval(saved: Array) -> tuple[float, float, float]:
    """The first of (1 + resamples,) values, and the 95 % interval of the others.

    >>> with_interval(np.array([7.0, *range(41)]))
    (7.0, 1.0, 39.0)
    """
    low, high = np.quantile(saved[1:], [0.025, 0.975])
    return float(saved[0]), float(low), float(high)


def _noted(preset: Preset, saved: Sequence[Sequence[float]]) -> Preset:
    shares = [[round(x, 4) for x in each] for each in saved]
    learned: dict[str, Any] = {**preset.provenance["learned"], "saved": shares}
    return replace(preset, provenance={**preset.provenance, "learned": learned})
