"""Tables of least cost for a network's sensitivities, at a λ or at a rate in real bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from softjpeg.jpeg.published_tables import published_tables
from softjpeg.learning.bit_allocation import allocate, implied_sensitivity
from softjpeg.learning.image_rates import ImageRates, Tables, default_tables

_TOLERANCE = 0.003
_DEFAULT_QUALITY = 50


class QuadraticModel(NamedTuple):
    """Loss and rate as bit allocation models them: ``½ s·D + λ·f·R`` at every frequency.

    Attributes:
        sensitivity: (3, 8, 8) > 0, s in loss per squared pixel level.
        rate_factor: (3, 8, 8) > 0, f on the entropy R.
    """

    sensitivity: Tensor
    rate_factor: Tensor


@dataclass(frozen=True)
class RateControl:
    """How tables for some images are brought to a λ or to a rate.

    Attributes:
        rates: of the images.
        rate_weight: λ in loss per bit per pixel, or None.
        target_bpp: bits per pixel of whole files, where λ is None; both are None until `at` sets
            a target.
    """

    rates: ImageRates
    rate_weight: float | None = None
    target_bpp: float | None = None

    def at(self, target_bpp: float | None) -> RateControl:
        """The same images at another target; None keeps this one."""
        if target_bpp is None:
            return self
        if not (target_bpp > 0 and math.isfinite(target_bpp)):
            raise ValueError(f"target_bpp must be positive and finite, got {target_bpp}")
        return RateControl(self.rates, target_bpp=target_bpp)

    @cached_property
    def default(self) -> Tables:
        """Annex K tables: of quality 50, or of the lowest quality that reaches the target."""
        if self.target_bpp is None:
            return default_tables(_DEFAULT_QUALITY)
        return self.rates.default_reaching(self.target_bpp)

    def published(self) -> list[Tables]:
        """`published_tables`, scaled to the rate of `default`."""
        wanted = self.rates.bpp(self.default) if self.target_bpp is None else self.target_bpp
        published = ((torch.from_numpy(t) for t in pair) for pair in published_tables().values())
        return [self.scaled((luma, chroma), wanted) for luma, chroma in published]

    def blend(
        self, model: QuadraticModel, share: float, tables: Tables | None = None
    ) -> QuadraticModel:
        """A model with its sensitivities moved towards those that tables imply.

        Args:
            model: to start from.
            share: of the way in log, 0..1.
            tables: (luma, chroma); the default ones where None.
        """
        towards = self.default if tables is None else tables
        curves = self.rates.curves.weighted(model.rate_factor)
        implied = implied_sensitivity(curves, towards).log()
        start = model.sensitivity.log()
        known = ~implied.isnan()
        if not known.any():
            return model
        implied = implied + (start[known].mean() - implied[known].mean())
        blended = torch.where(known, (1 - share) * start + share * implied, start).exp()
        return QuadraticModel(blended, model.rate_factor)

    def solve(self, model: QuadraticModel) -> tuple[Tables, float]:
        """The tables of least cost by a model, and their λ."""
        curves = self.rates.curves.weighted(model.rate_factor)
        pixels = self.rates.pixels
        if self.rate_weight is not None:
            tables = allocate(curves, model.sensitivity, self.rate_weight / pixels)
            return tables, self.rate_weight
        assert self.target_bpp is not None
        target = self.target_bpp
        # Of a scale where the answer is not far from 0.
        scale = float(model.sensitivity.log().mean().exp()) * 1e3
        tried: list[tuple[float, float, Tables]] = []

        def miss(exponent: float) -> float:
            tables = allocate(curves, model.sensitivity, scale * 10**exponent)
            tried.append((exponent, math.log(self.rates.bpp(tables) / target), tables))
            return tried[-1][1]

        _find_root(miss, -1.0, 1.0)
        exponent, _, tables = min(tried, key=lambda entry: abs(entry[1]))
        return tables, scale * 10**exponent * pixels

    def scaled(self, tables: Tables, bpp: float) -> Tables:
        """Tables times whatever brings them to a rate, or nearest to it."""
        luma, chroma = tables
        tried: list[tuple[float, Tables]] = []

        def miss(exponent: float) -> float:
            steps = ((t * 2**exponent).round().clamp(1, 255).long() for t in (luma, chroma))
            scaled = (next(steps), next(steps))
            tried.append((math.log(self.rates.bpp(scaled) / bpp), scaled))
            return tried[-1][0]

        _find_root(miss, -1.0, 1.0)
        return min(tried, key=lambda entry: abs(entry[0]))[1]


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
    if at_low == at_high:
        # Zero at both: on single pixels no step changes a file.
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
