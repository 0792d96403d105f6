"""Tables of least cost for given sensitivities, at a λ or at a rate in real bytes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from softjpeg.codec.file_sizes import bits_per_pixel, equal_size_quality, mean_bpp, rate_sample
from softjpeg.codec.image import encode
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.published_tables import published_tables
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import Table, quality_tables
from softjpeg.learning.bit_allocation import RateDistortion, allocate, implied_sensitivity
from softjpeg.presets.preset import Preset

Tables = tuple[Tensor, Tensor]
"""(luma, chroma), each (8, 8)."""
Belief = tuple[Tensor, Tensor]
"""(sensitivity in loss per squared pixel level, factor on the entropy), each (3, 8, 8)."""

_TOLERANCE = 0.003
_CURVE_IMAGES = 256
_GROUP = 4
_BLOCKS = 10_000


class RateControl:
    """The rate side of learning on one set of images.

    Args:
        images: (N, 3, H, W) uint8.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rate_weight: λ in loss per bit per pixel, or None.
        target_bpp: bits per pixel of whole files, where λ is None; both are None where `at` is
            to say it later.
    """

    def __init__(
        self,
        images: Tensor,
        subsampling: Subsampling,
        rate_weight: float | None = None,
        target_bpp: float | None = None,
    ) -> None:
        images = images.cpu()
        self._default: Tables | None = None
        self._bpp: dict[bytes, float] = {}
        self.subsampling = subsampling
        self.rate_weight, self.target_bpp = rate_weight, target_bpp
        self.size = (images.shape[-2], images.shape[-1])
        self.pixels = self.size[0] * self.size[1]
        self.sample = rate_sample(images)
        chosen = images[:: -(-len(images) // _CURVE_IMAGES)]
        groups = [chosen[i : i + _GROUP] for i in range(0, len(chosen), _GROUP)]
        coefficients = (
            image_to_coefficients(group.float() / 255, subsampling, rounding=True)
            for group in groups
        )
        self.curves = RateDistortion.measure_groups(coefficients, -(-_BLOCKS // len(groups)))

    def at(self, target_bpp: float) -> RateControl:
        """The same images at another target rate."""
        if not (target_bpp > 0 and math.isfinite(target_bpp)):
            raise ValueError(f"target_bpp must be positive and finite, got {target_bpp}")
        other = copy.copy(self)
        other._default = None
        other.rate_weight, other.target_bpp = None, target_bpp
        return other

    def bpp(self, tables: Tables) -> float:
        """Bits per pixel of whole files, optimized Huffman, on up to 64 of the images."""
        luma, chroma = (t.round().long().numpy() for t in tables)
        # Candidates are asked about again and again, also at other rates.
        known = luma.tobytes() + chroma.tobytes()
        if known not in self._bpp:
            preset = Preset(luma, chroma, subsampling=self.subsampling)
            self._bpp[known] = mean_bpp(self.sample, preset)
        return self._bpp[known]

    def sampled_bpp(self, tables: Tables, hardness: float) -> float:
        """The same for files whose coefficients are drawn from the CPMF, on up to 16 images."""
        luma, chroma = (t.numpy() for t in tables)
        preset = Preset(luma, chroma, np.full((2, 8, 8), hardness), self.subsampling)
        sample = self.sample[:16]
        files = [encode(image, preset, "probabilistic", seed=i) for i, image in enumerate(sample)]
        return bits_per_pixel(sum(map(len, files)), sample)

    def default(self) -> Tables:
        """Annex K tables: of quality 50, or of the lowest quality that reaches the target."""
        if self._default is None:
            self._default = default_tables(50 if self.target_bpp is None else self._quality())
        return self._default

    def _quality(self) -> int:
        assert self.target_bpp is not None
        target = self.target_bpp
        return equal_size_quality(target, lambda q: self.bpp(default_tables(q)))

    def published(self) -> list[Tables]:
        """`published_tables`, scaled to the rate of `default`."""
        wanted = self.bpp(self.default()) if self.target_bpp is None else self.target_bpp
        return [self._scaled(tables, wanted) for tables in published_tables().values()]

    def _scaled(self, tables: tuple[Table, Table], bpp: float) -> Tables:
        luma, chroma = (torch.from_numpy(table) for table in tables)
        tried: list[tuple[float, Tables]] = []

        def miss(exponent: float) -> float:
            steps = ((t * 2**exponent).round().clamp(1, 255).long() for t in (luma, chroma))
            scaled = (next(steps), next(steps))
            tried.append((math.log(self.bpp(scaled) / bpp), scaled))
            return tried[-1][0]

        _find_root(miss, -1.0, 1.0)
        return min(tried, key=lambda entry: abs(entry[0]))[1]

    def blend(self, belief: Belief, share: float, tables: Tables | None = None) -> Belief:
        """A belief moved towards what tables imply, by a share 0..1 of the way.

        Args:
            belief: to start from.
            share: of the way.
            tables: the default ones where None.
        """
        sensitivity, rate = belief
        towards = self.default() if tables is None else tables
        implied = implied_sensitivity(self.curves.weighted(rate), towards).log()
        own = sensitivity.log()
        known = ~implied.isnan()
        if not known.any():
            return belief
        implied = implied + (own[known].mean() - implied[known].mean())
        return torch.where(known, (1 - share) * own + share * implied, own).exp(), rate

    def solve(self, belief: Belief) -> tuple[Tables, float]:
        """The tables of least ``½ s·D + λ·R`` and their λ."""
        sensitivity, rate = belief
        curves = self.curves.weighted(rate)
        if self.rate_weight is not None:
            return allocate(curves, sensitivity, self.rate_weight / self.pixels), self.rate_weight
        assert self.target_bpp is not None
        target = self.target_bpp
        # Of a scale where the answer is not far from 0.
        scale = float(sensitivity.log().mean().exp()) * 1e3
        tried: list[tuple[float, float, Tables]] = []

        def miss(exponent: float) -> float:
            tables = allocate(curves, sensitivity, scale * 10**exponent)
            tried.append((exponent, math.log(self.bpp(tables) / target), tables))
            return tried[-1][1]

        _find_root(miss, -1.0, 1.0)
        exponent, _, tables = min(tried, key=lambda entry: abs(entry[1]))
        return tables, scale * 10**exponent * self.pixels


def _find_root(falling: Callable[[float], float], low: float, high: float) -> None:
    """Call a falling function nearer and nearer to its zero (bracketing, then Illinois)."""
    at_low, at_high = falling(low), falling(high)
    for _ in range(8):
        if at_low >= 0 >= at_high:
            break
        if at_low < 0:
            low, high, at_low, at_high = low - 2, low, falling(low - 2), at_low
        else:
            low, high, at_low, at_high = high, high + 2, at_high, falling(high + 2)
    else:
        return
    for _ in range(8):
        middle = low + (high - low) * at_low / (at_low - at_high)
        value = falling(middle)
        if abs(value) < _TOLERANCE:
            return
        if value > 0:
            low, at_low, at_high = middle, value, at_high / 2
        else:
            high, at_high, at_low = middle, value, at_low / 2


def default_tables(quality: int) -> Tables:
    """Annex K at a libjpeg quality 1..100, as tensors."""
    luma, chroma = quality_tables(quality)
    return torch.from_numpy(luma), torch.from_numpy(chroma)
