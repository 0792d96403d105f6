"""Which regime a layer is in: does it quantize, or does its bound clip?"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from softjpeg.functional.transform import image_to_coefficients
from softjpeg.nn.jpeg_layer import JPEGLayer


class Regime(NamedTuple):
    """What a layer's tables do to images.

    Attributes:
        beyond: share of coefficients beyond the bound ±L·q of the first round, which clips them.
        dc_beyond: the same of luma's DC coefficients alone.
        hardness: median of h = α·q² over all steps.
        bpp: bits per pixel of what passes, J4D's entropy; NaN where nothing is quantized.
    """

    beyond: float
    dc_beyond: float
    hardness: float
    bpp: float

    def sentence(self) -> str:
        """All of it in a line.

        >>> Regime(0.25, 0.5, 13.2, 3.1).sentence()
        'beyond the bound 25.0 % of coefficients (luma DC 50.0 %), median hardness 13.2, 3.10 bpp'
        """
        shares = f"{100 * self.beyond:.1f} % of coefficients (luma DC {100 * self.dc_beyond:.1f} %)"
        rate = "" if math.isnan(self.bpp) else f", {self.bpp:.2f} bpp"
        return f"beyond the bound {shares}, median hardness {self.hardness:.3g}{rate}"

    def facts(self) -> dict[str, Any]:
        """For a log, in JSON's types."""
        return {k: None if math.isnan(v) else v for k, v in self._asdict().items()}


@torch.no_grad()
def regime(layer: JPEGLayer, images: Tensor) -> Regime:
    """The regime of a layer on images (B, 3, H, W) in [0, 1].

    >>> layer = JPEGLayer(alpha=5.0, levels=127)
    >>> round(regime(layer, torch.ones(1, 3, 16, 16)).dc_beyond, 3)
    1.0
    """
    z = image_to_coefficients(images, layer.subsampling, rounding=layer.rounding)
    bound = math.inf if layer.levels is None else layer.levels
    beyond = [plane.abs() > bound * layer.steps()[0, min(i, 1)] for i, plane in enumerate(z)]
    cut, count = sum(int(b.sum()) for b in beyond), sum(b.numel() for b in beyond)
    bpp = math.nan
    if layer.quantizer not in ("clip", "none"):
        bpp = float(layer.forward_with_rate(images)[1]) / images[0, 0].numel()
    hardness = layer.hardness().median()
    return Regime(cut / count, float(beyond[0][..., 0, 0].float().mean()), float(hardness), bpp)
