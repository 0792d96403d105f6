"""`JPEGLayer`: JPEG as a differentiable layer with trainable tables (JPEG-DL, sec. 3; J4D)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from softjpeg.functional.arguments import check_floats, warn_once_of_range
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.nn.table_quantizer import TableQuantizer, stack_tables


class JPEGLayer(TableQuantizer):
    """RGB in, the same RGB as a JPEG of learned tables shows it out.

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

    def extra_repr(self) -> str:
        """The settings that are not parameters."""
        return f"{super().extra_repr()}, subsampling={self.subsampling!r}"
