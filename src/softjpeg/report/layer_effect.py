"""What a JPEG layer removes from images: by frequency, and as pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from softjpeg.functional.transform import image_to_coefficients
from softjpeg.models.inference import check_inputs, device_of
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.report.heatmap import HeatMap, heat_map, percent
from softjpeg.report.pictures import png


@dataclass(frozen=True, eq=False)
class LayerEffect:
    """What a layer does to coefficients: (2, 8, 8) float64 each, luma and chroma.

    Attributes:
        energy: Σ(coefficient out)² / Σ(coefficient in)²; NaN where there is none in.
        zero: share of coefficients at index 0 when they leave, |out| < q/2 of the last round.
        bounded: share of coefficients that the bound ±L·q of a round cut off; None without bound.
        spread: standard deviation of the coefficients in.
    """

    energy: Tensor
    zero: Tensor
    bounded: Tensor | None
    spread: Tensor


@dataclass(frozen=True)
class EffectPicture:
    """One image as .png files: as it is, as the layer shows it, and the amplified difference."""

    name: str
    original: bytes
    shown: bytes
    difference: bytes


@torch.no_grad()
def layer_effect(layer: JPEGLayer, images: Tensor, batch_size: int = 32) -> LayerEffect:
    """Coefficients before and behind a layer, over images and blocks.

    Args:
        layer: put in eval mode.
        images: (N, 3, H, W) uint8.
        batch_size: images at a time.

    Raises:
        ValueError: images of the wrong shape or type.

    >>> layer = JPEGLayer(*[torch.full((8, 8), 4000.0)] * 2, table_range=(1, 4000))
    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> layer_effect(layer, images).zero.unique().tolist()
    [1.0]
    """
    sums = torch.zeros(6, 2, 8, 8, dtype=torch.float64)
    steps = layer.steps().detach().cpu().double()
    bound = math.inf if layer.levels is None else layer.levels * steps.amin(0)
    for batch in _batches(layer, images, batch_size):
        z = image_to_coefficients(batch, layer.subsampling, rounding=layer.rounding)
        for component, (before, after) in enumerate(zip(z, layer.quantize(z), strict=True)):
            kind = min(component, 1)
            a, b = (c.cpu().double().flatten(0, 2) for c in (before, after))
            limit = bound if isinstance(bound, float) else bound[kind]
            # Of single precision: a coefficient exactly at the bound is not beyond it.
            beyond = a.abs() > limit * (1 + 1e-6)
            cut = beyond & (b.abs() <= limit * (1 + 1e-6))
            zero = b.abs() < steps[-1, kind] / 2
            counted = (a, a**2, b**2, zero, cut, torch.ones_like(a))
            sums[:, kind] += torch.stack([s.double().sum(0) for s in counted])
    total, energy_in, energy_out, zeros, cuts, count = sums
    bounded = None if layer.levels is None else cuts / count
    spread = (energy_in / count - (total / count) ** 2).clamp_min(0).sqrt()
    return LayerEffect(energy_out / energy_in, zeros / count, bounded, spread)


def effect_maps(effect: LayerEffect) -> list[tuple[str, list[HeatMap]]]:
    """Heat maps in percent of luma and of chroma: energy kept, at zero, cut off by the bound."""

    tables = {"energy kept, %": effect.energy, "at zero, %": effect.zero}
    if effect.bounded is not None:
        tables["cut off by the bound, %"] = effect.bounded

    def maps(kind: int) -> list[HeatMap]:
        return [
            heat_map(caption, table[kind], table[kind].clamp(0, 1), percent)
            for caption, table in tables.items()
        ]

    return [("luma", maps(0)), ("chroma", maps(1))]


@torch.no_grad()
def effect_pictures(
    layer: JPEGLayer, names: Sequence[str], images: Tensor, gain: float | None = None
) -> tuple[list[EffectPicture], float]:
    """Images, what the layer makes of them, and the amplified differences.

    Args:
        layer: put in eval mode.
        names: of the images.
        images: (N, 3, H, W) uint8.
        gain: the differences are shown so many times as large, about mid grey; None for the power
            of two that lets 99.5 % of them stay within what can be shown.

    Returns:
        (pictures, gain). What the layer shows is clipped to [0, 1].

    Raises:
        ValueError: images of the wrong shape or type, or not as many as names.
    """
    if len(names) != len(images):
        raise ValueError(f"names must be as many as images, {len(images)}, got {len(names)}")
    shown = torch.cat([layer(batch).cpu().float() for batch in _batches(layer, images, 8)])
    difference = shown.clamp(0, 1) - images.cpu() / 255
    if gain is None:
        gain = _gain(difference)
    pictures = [
        EffectPicture(name, png(image.cpu()), png(_uint8(out)), png(_uint8(0.5 + gain * change)))
        for name, image, out, change in zip(names, images, shown, difference, strict=True)
    ]
    return pictures, gain


def _batches(layer: JPEGLayer, images: Tensor, batch_size: int) -> Iterator[Tensor]:
    check_inputs(images, None, batch_size)
    layer.eval()
    dtype, device = layer.tables.dtype, device_of(layer)
    for start in range(0, len(images), batch_size):
        yield images[start : start + batch_size].to(device, dtype) / 255


def _gain(difference: Tensor) -> float:
    # A sample is enough: torch's quantile refuses more than 16 million values.
    values = difference.abs().flatten()
    large = values[:: -(-len(values) // 1_000_000)].quantile(0.995).item()
    return min(64.0, 2.0 ** max(0, math.floor(math.log2(0.5 / large)))) if large > 0 else 64.0


def _uint8(picture: Tensor) -> Tensor:
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)
