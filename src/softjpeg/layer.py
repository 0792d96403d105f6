"""`JPEGLayer`: JPEG as a differentiable layer with trainable tables (JPEG-DL, sec. 3; J4D)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.quantizers import QUANTIZERS, quantize
from softjpeg.soft_quantizer import check_index_set
from softjpeg.straight_through import clamp
from softjpeg.subsampling import luma_factors
from softjpeg.transform import coefficients_to_image, image_to_coefficients


class JPEGLayer(nn.Module):
    """RGB in, the same RGB as a JPEG of learned tables shows it out.

    Args:
        luma, chroma: initial tables, (8, 8) or one per round (rounds, 8, 8); default all ones.
        hardness: initial h = αq² of every entry; the sharpness follows the table, α = h/q².
        alpha: fixed sharpness α instead of a hardness (JPEG-DL's CIFAR setting: 5).
        quantizer: "soft", "hard", "noise", "cubic" or "lsq".
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rounds: how many quantizers in a row, each with its own tables, all in the DCT domain.
        levels: L of the index set {-L..L}; None for all integers.
        window: odd number of indices the soft sum runs over; None for all of the index set.
        rounding: round and clamp samples and pixels as a real codec does, straight-through.
        train_tables, train_hardness: which parameters take gradients.
        table_range: steps are clamped to it, straight-through, before each use.

    Shape:
        (B, 3, H, W) or (B, 1, H, W) float in [0, 1] → the same; any H, W ≥ 1.

    Raises:
        ValueError: an unknown quantizer or subsampling, or a value out of its range.

    >>> layer = JPEGLayer(*(torch.full((8, 8), 16.0),) * 2, hardness=30.0, subsampling="4:2:0")
    >>> tuple(layer(torch.rand(2, 3, 50, 33)).shape), sum(p.numel() for p in layer.parameters())
    ((2, 3, 50, 33), 128)
    """

    def __init__(
        self,
        luma: Any = None,
        chroma: Any = None,
        *,
        hardness: float = 20.0,
        alpha: float | None = None,
        quantizer: str = "soft",
        subsampling: str = "4:4:4",
        rounds: int = 1,
        levels: int | None = None,
        window: int | None = None,
        rounding: bool = False,
        train_tables: bool = True,
        train_hardness: bool = False,
        table_range: tuple[float, float] = (1e-5, 255.0),
    ) -> None:
        super().__init__()
        if quantizer not in QUANTIZERS:
            raise ValueError(f"quantizer must be one of {', '.join(QUANTIZERS)}, got {quantizer!r}")
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        for name, value in (("hardness", hardness), ("alpha", 1.0 if alpha is None else alpha)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not 0 < table_range[0] <= table_range[1]:
            raise ValueError(f"table_range must be positive and ascending, got {table_range}")
        if alpha is not None and train_hardness:
            raise ValueError(f"train_hardness needs a hardness, but alpha is fixed at {alpha}")
        luma_factors(subsampling)
        check_index_set(levels, window)
        self.quantizer, self.subsampling, self.rounds = quantizer, subsampling, rounds
        self.levels, self.window, self.rounding = levels, window, rounding
        self.alpha, self.table_range = alpha, table_range
        tables = torch.stack([_table("luma", luma, rounds), _table("chroma", chroma, rounds)], 1)
        self.tables = nn.Parameter(tables, requires_grad=train_tables)
        log_hardness = torch.full_like(tables, hardness).log()
        if train_hardness:
            self.log_hardness: Tensor = nn.Parameter(log_hardness)
        else:
            self.register_buffer("log_hardness", log_hardness)

    @property
    def luma(self) -> Tensor:
        """(rounds, 8, 8) luma steps, within the table range."""
        return clamp(self.tables[:, 0], *self.table_range)

    @property
    def chroma(self) -> Tensor:
        """(rounds, 8, 8) chroma steps, within the table range."""
        return clamp(self.tables[:, 1], *self.table_range)

    def sharpness(self) -> Tensor:
        """α as (rounds, 2, 8, 8), luma and chroma."""
        steps = torch.stack([self.luma, self.chroma], 1)
        if self.alpha is not None:
            return torch.full_like(steps, self.alpha)
        return self.log_hardness.exp() / steps**2

    def hardness(self) -> Tensor:
        """h = αq² as (rounds, 2, 8, 8), luma and chroma."""
        steps = torch.stack([self.luma, self.chroma], 1)
        return self.sharpness() * steps**2

    def quantize(self, coefficients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Quantize and dequantize (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8)."""
        sharpness = self.sharpness()
        quantized = []
        for component, z in enumerate(coefficients):
            kind = min(component, 1)
            steps = self.chroma if kind else self.luma
            for q, alpha in zip(steps, sharpness[:, kind], strict=True):
                z = quantize(
                    z, q, alpha, kind=self.quantizer, levels=self.levels, window=self.window
                )
            quantized.append(z)
        return tuple(quantized)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3 or 1, H, W) in [0, 1] to what a decoder shows of it."""
        if image.ndim != 4 or image.shape[1] not in (1, 3):
            raise ValueError(f"image must have shape (B, 3 or 1, H, W), got {tuple(image.shape)}")
        size = (image.shape[-2], image.shape[-1])
        # Half precision has too few bits for coefficients of up to 1024.
        with torch.autocast(image.device.type, enabled=False):
            wide = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
            z = image_to_coefficients(wide, self.subsampling, rounding=self.rounding)
            shown = coefficients_to_image(
                self.quantize(z), size, self.subsampling, rounding=self.rounding
            )
        return shown.to(image.dtype)

    def extra_repr(self) -> str:
        """The settings that are not parameters."""
        return (
            f"quantizer={self.quantizer!r}, subsampling={self.subsampling!r}, "
            f"rounds={self.rounds}, levels={self.levels}, window={self.window}"
        )


def _table(name: str, table: Any, rounds: int) -> Tensor:
    if table is None:
        return torch.ones(rounds, 8, 8)
    steps = torch.as_tensor(table, dtype=torch.get_default_dtype()).detach().clone()
    if steps.shape not in ((8, 8), (rounds, 8, 8)):
        wanted = f"(8, 8) or ({rounds}, 8, 8)"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(steps.shape)}")
    if not (steps > 0).all():
        raise ValueError(f"{name} must be positive, got {steps.min().item()}")
    return steps.expand(rounds, 8, 8).clone()
