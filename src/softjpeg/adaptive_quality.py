"""A quality for each image, by how large its file would be: without asking any network.

Busy images cost many bits and hide errors well; plain ones cost few and show them. So at one
nominal quality an image of b bits of scan, where the mean is B, gets the quality at which it has
``B (b/B)^γ`` bits: γ = 1 is one quality for all, γ = 0 one size for all. γ is learned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softjpeg.codec import encode, scan_bytes
from softjpeg.codec.pictures import to_pillow_image
from softjpeg.ladder import Ladder
from softjpeg.preset import Preset

EXPONENTS = (1.0, 0.75, 0.5, 0.25)
_HALVINGS = 7


def adapted(ladder: Ladder, image: Any, quality: float) -> Preset:
    """The ladder's preset for an image at a nominal quality.

    Args:
        ladder: its `size_exponent` is γ.
        image: as `softjpeg.encode` takes it.
        quality: 1..100.

    Returns:
        ``ladder.at(quality)`` where γ is 1.

    >>> rung = Preset.from_quality(50)
    >>> ladder = Ladder((rung,), ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0)))
    >>> adapted(ladder, np.zeros((8, 8, 3), np.uint8), 50) == ladder.at(50)
    True
    """
    if ladder.size_exponent == 1:
        return ladder.at(quality)
    nominal = ladder.position(quality)
    positions, rates = zip(*ladder.scan_bpp, strict=True)
    mean = math.exp(np.interp(nominal, positions, np.log(rates)))
    wanted = mean * (_scan_bpp(ladder.at_position(nominal), image) / mean) ** ladder.size_exponent
    low, high = 0.0, float(len(ladder.rungs) + 1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _scan_bpp(ladder.at_position(middle), image) < wanted:
            low = middle
        else:
            high = middle
    return ladder.at_position((low + high) / 2)


def size_exponent(bits: Any, losses: Any) -> float:
    """γ of least mean loss at equal mean bits, geometric mean over the inner rates.

    Args:
        bits: (settings, images) > 0 of scans, rising over the settings.
        losses: of the same shape.

    Returns:
        One of `EXPONENTS`.

    >>> bits = np.array([[1.0, 4.0], [2.0, 8.0], [4.0, 16.0], [8.0, 32.0]])
    >>> size_exponent(bits, 1 / bits)
    0.25
    """
    logs, losses = np.log(np.asarray(bits, np.float64)), np.asarray(losses, np.float64)

    def loss(exponent: float, setting: int) -> float:
        spread = exponent * (logs[setting] - logs[setting].mean())
        budget = np.exp(logs[setting]).mean()
        low, high = logs.min() - 5, logs.max() + 5
        for _ in range(40):
            middle = (low + high) / 2
            wanted = np.clip(middle + spread, logs[0], logs[-1])
            low, high = (middle, high) if np.exp(wanted).mean() < budget else (low, middle)
        there = [np.interp(w, x, y) for w, x, y in zip(wanted, logs.T, losses.T, strict=True)]
        return max(float(np.mean(there)), 1e-9)

    inner = range(1, len(logs) - 1)
    costs = {e: sum(math.log(loss(e, i)) for i in inner) for e in EXPONENTS}
    return min(EXPONENTS, key=costs.__getitem__)


def _scan_bpp(preset: Preset, image: Any) -> float:
    picture = to_pillow_image(image)
    bits = 8 * scan_bytes(encode(picture, preset, metadata=False))
    return bits / (picture.width * picture.height)
