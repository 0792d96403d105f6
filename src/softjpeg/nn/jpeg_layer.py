"""`JPEGLayer`: JPEG as a differentiable layer with trainable tables (JPEG-DL, sec. 3; J4D)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats, warn_once_of_range, without_autocast
from softjpeg.functional.rate.rate_model import RateModel, check_rate_model, scan_bits_by
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.nn.hub import OnHub
from softjpeg.nn.table_quantizer import TableQuantizer, stack_tables
from softjpeg.presets.preset import Preset


class JPEGLayer(TableQuantizer, OnHub):
    """Images in, out what a decoder shows of their JPEG files: trainable tables, and gradients.

    Args:
        luma, chroma: initial tables, (8, 8) or one per round (rounds, 8, 8); default all ones.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rounds: how many quantizers in a row, each with its own tables, all in the DCT domain.
        rounding: round and clamp samples and pixels as a real codec does, straight-through.
        settings: `hardness`, `alpha`, `quantizer`, `levels`, `window`, `zero_dc`, `train_tables`,
            `train_hardness`, `table_range`: as for `TableQuantizer`.

    Shape:
        (B, 3, H, W) or (B, 1, H, W) float in [0, 1] → the same; any H, W ≥ 1.

    Raises:
        ValueError: an unknown quantizer or subsampling, or a value out of its range; on a call, an
            image of another shape or not of floating point numbers. A first image far beyond
            [0, 1] gets a warning.

    >>> import torch
    >>> layer = JPEGLayer(*(torch.full((8, 8), 16.0),) * 2, hardness=30.0, subsampling="4:2:0")
    >>> tuple(layer(torch.rand(2, 3, 50, 33)).shape), sum(p.numel() for p in layer.parameters())
    ((2, 3, 50, 33), 128)
    """

    def __init__(
        self,
        luma: Any = None,
        chroma: Any = None,
        *,
        subsampling: Subsampling = "4:4:4",
        rounds: int = 1,
        rounding: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(stack_tables(rounds, luma=luma, chroma=chroma), **settings)
        luma_factors(subsampling)
        self.subsampling, self.rounding = subsampling, rounding

    @classmethod
    def from_preset(cls, preset: Preset, **settings: Any) -> JPEGLayer:
        """The layer that shows what a preset's files show, to train on or to train through.

        Args:
            preset: tables, subsampling and hardness.
            settings: as for the class; they stand before what the preset says.

        Raises:
            ValueError: a preset that shrinks images or stores a part, which a layer does not.

        >>> layer = JPEGLayer.from_preset(Preset.from_quality(50), rounding=True)
        >>> layer.subsampling, layer.luma[0, 0, :3].tolist()
        ('4:2:0', [16.0, 11.0, 10.0])
        """
        if preset.short_side is not None:
            raise ValueError(
                f"preset.short_side must be None for a layer, got {preset.short_side}: shrink the "
                "images before it"
            )
        if preset.center is not None:
            raise ValueError(f"preset.center must be None for a layer, got {preset.center}")
        layer = cls(preset.luma, preset.chroma, **{"subsampling": preset.subsampling, **settings})
        if not {"hardness", "alpha"} & settings.keys():
            with torch.no_grad():
                layer.log_hardness.copy_(torch.from_numpy(preset.hardness).log())
        return layer

    def why_not_a_file(self) -> str:
        """Why an ordinary .jpg cannot hold what the layer does; empty where it can.

        >>> JPEGLayer(luma=torch.full((8, 8), 0.1)).why_not_a_file()
        '64 of 128 steps are below 0.5, and the smallest of JPEG is 1'
        """
        if self.rounds > 1:
            return f"the layer has {self.rounds} rounds, a file has one"
        small, count = int((self.steps() < 0.5).sum()), self.tables.numel()
        if small:
            return f"{small} of {count} steps are below 0.5, and the smallest of JPEG is 1"
        return ""

    @torch.no_grad()
    def to_preset(self, provenance: Mapping[str, Any] | None = None) -> Preset:
        """The layer's tables, in whole steps, for `softjpeg.encode` to write files with.

        The bound ±levels of the index set does not go along: an encoder has JPEG's own.

        Args:
            provenance: of the preset, anything JSON can hold.

        Raises:
            ValueError: several rounds, a step below ½, or a DC that is left out: no file has that.

        >>> layer = JPEGLayer(torch.full((8, 8), 16.4), torch.full((8, 8), 30.0), hardness=9.0)
        >>> preset = layer.to_preset()
        >>> int(preset.luma[0, 0]), round(float(preset.hardness[0, 0, 0]), 3)
        (16, 9.0)
        """
        reason = "the layer leaves out DC" if self.zero_dc else self.why_not_a_file()
        if reason:
            raise ValueError(f"the layer's tables are no preset: {reason}")
        luma, chroma = (self.steps()[0].round().clamp(1, 255).cpu().numpy()).astype(int)
        hardness = self.hardness()[0].double().cpu().numpy()
        return Preset(luma, chroma, hardness, self.subsampling, dict(provenance or {}))

    @property
    def luma(self) -> Tensor:
        """(rounds, 8, 8) luma steps, within the table range."""
        return self.steps()[:, 0]

    @property
    def chroma(self) -> Tensor:
        """(rounds, 8, 8) chroma steps, within the table range."""
        return self.steps()[:, 1]

    def quantize(self, coefficients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Quantize and dequantize (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8)."""
        return tuple(self.quantize_plane(z, min(i, 1)) for i, z in enumerate(coefficients))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3 or 1, H, W) in [0, 1] to what a decoder shows of it."""
        if image.ndim != 4 or image.shape[1] not in (1, 3):
            raise ValueError(f"image must have shape (B, 3 or 1, H, W), got {tuple(image.shape)}")
        check_floats(image=image)
        warn_once_of_range(self, image)
        layout = "gray" if image.shape[1] == 1 else self.subsampling
        return self.through(image, layout, rounding=self.rounding)

    def forward_with_rate(
        self, images: Tensor, *, rate: RateModel = "entropy"
    ) -> tuple[Tensor, Tensor]:
        """What a decoder shows of images, and what they cost: both terms of J4D's objective.

        Args:
            images: (B, 3 or 1, H, W) in [0, 1].
            rate: "entropy", J4D's entropy of the quantizer's indices, DC as its difference; or
                "jpeg", the Huffman bits expected of a baseline scan.

        Returns:
            `forward(images)`, and the estimated bits of one image's scan, a scalar ≥ 0: the mean
            over the batch, indices drawn from the CPMF of the tables and the hardness (of the last
            of several rounds). Both are differentiable in the images and in what trains.

        Raises:
            ValueError: an unknown `rate`, another shape of images, or a quantizer without indices.

        >>> tables = torch.full((2, 8, 8), 16.0)
        >>> layer = JPEGLayer(*tables, hardness=30.0, train_hardness=True)
        >>> shown, bits = layer.forward_with_rate(torch.zeros(2, 3, 16, 16))
        >>> tuple(shown.shape), bits.ndim
        ((2, 3, 16, 16), 0)
        """
        check_rate_model(rate)
        if self.quantizer in ("clip", "none"):
            raise ValueError(f"the quantizer {self.quantizer!r} has no indices whose bits count")
        shown = self(images)
        layout = "4:4:4" if images.shape[1] == 1 else self.subsampling
        with without_autocast(images):
            half = images.dtype in (torch.float16, torch.bfloat16)
            samples = images.float() if half else images
            z = image_to_coefficients(samples, layout, rounding=self.rounding)
            kinds = (0, 1, 1)[: len(z)]
            steps, alphas = self.steps(), self.sharpness()
            last = [self.before_last_round(c, k) for c, k in zip(z, kinds, strict=True)]
            bits = scan_bits_by(
                rate,
                last,
                [steps[-1, k] for k in kinds],
                [alphas[-1, k] for k in kinds],
                size=(images.shape[-2], images.shape[-1]),
                subsampling=layout,
                levels=self.levels,
                window=self.window,
            )
        return shown, bits

    def hub_config(self) -> dict[str, Any]:
        """As of `TableQuantizer`, and those of this class."""
        settings = {"subsampling": self.subsampling, "rounding": self.rounding}
        return settings | super().hub_config()

    def extra_repr(self) -> str:
        """The settings that are not parameters."""
        return f"{super().extra_repr()}, subsampling={self.subsampling!r}"
