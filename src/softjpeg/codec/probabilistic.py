"""J4D's encoder: quantized indices drawn from the CPMF (arXiv 2606.16185)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softjpeg.functional.cpmf import index_at
from softjpeg.functional.soft_quantizer import reach
from softjpeg.jpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.kernels.cpu import sampling as kernel
from softjpeg.kernels.library import is_available
from softjpeg.presets.preset import Preset

_BITS = (1 << 64) - 1


def sample_indices(
    coefficients: Sequence[Tensor], preset: Preset, seed: int | None = None
) -> list[Tensor]:
    """Draw the index of every coefficient, within what baseline JPEG can hold.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (rows, columns, 8, 8) float, 0..255 pixel scale.
        preset: tables and hardness.
        seed: the same seed draws the same indices; None fresh ones each time.

    Returns:
        Per component int16 of the same shape.

    >>> preset = Preset.from_quality(50)
    >>> sample_indices([torch.full((1, 1, 8, 8), 4.0 * 16)], preset, seed=0)[0][0, 0, 0, 0].item()
    4
    """
    seed = secrets.randbits(64) if seed is None else seed & _BITS
    indices, first = [], 0
    for component, z in enumerate(coefficients):
        q = np.float32(preset.chroma if component else preset.luma).reshape(64)
        hardness = np.float32(preset.hardness[min(component, 1)]).reshape(64)
        flat = z.detach().cpu().float().reshape(-1, 64).numpy()
        farthest = reach(torch.from_numpy(hardness))
        drawn = None
        if is_available("_decisions"):
            drawn = kernel.sample_indices(flat, q, hardness, reach=farthest, seed=seed, first=first)
        if drawn is None:
            drawn = _sample(flat, q, hardness, uniform(len(flat), seed, first))
        indices.append(torch.from_numpy(drawn).reshape(z.shape))
        first += len(flat)
    return indices


def uniform(blocks: int, seed: int, first: int = 0) -> npt.NDArray[np.float32]:
    """Uniform numbers in (0, 1] for every coefficient of some blocks, from SplitMix64.

    Args:
        blocks: how many.
        seed: 0..2⁶⁴ - 1.
        first: how many blocks were drawn before these with the same seed.

    Returns:
        (blocks, 64), multiples of 2⁻²⁴: of a block's 32 numbers the low and then the high halves.

    >>> uniform(1, 1234567)[0, [0, 1, 32]].round(4)
    array([0.9806, 0.345 , 0.3501], dtype=float32)
    """
    # Steele, Lea and Flood, 2014.
    counts = np.arange(32 * first + 1, 32 * (first + blocks) + 1, dtype=np.uint64)
    x = counts * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    x = (x ^ x >> np.uint64(31)).reshape(blocks, 32)
    bits = np.concatenate([x & np.uint64(0xFFFFFFFF), x >> np.uint64(32)], axis=1) >> np.uint64(8)
    return (bits + np.uint64(1)).astype(np.float32) * np.float32(2**-24)


def _sample(
    z: npt.NDArray[np.float32],
    q: npt.NDArray[np.float32],
    hardness: npt.NDArray[np.float32],
    uniform: npt.NDArray[np.float32],
) -> npt.NDArray[np.int16]:
    steps = torch.from_numpy(q)
    sharpness = torch.from_numpy(hardness) / steps**2
    drawn = index_at(torch.from_numpy(uniform), torch.from_numpy(z), steps, sharpness)
    lowest, highest = torch.full((64,), -MAX_AC), torch.full((64,), MAX_AC)
    lowest[0], highest[0] = MIN_DC, MAX_DC
    return drawn.clamp(lowest, highest).short().numpy()
