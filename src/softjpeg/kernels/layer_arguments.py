"""What both versions of the fused layer, C and Triton, are told, and checks of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Of the images; all are computed in float32."""
LAYOUTS = ("4:4:4", "4:2:2", "4:2:0", "gray", "planes")


class Settings(NamedTuple):
    """All but the tensors.

    Attributes:
        layout: "4:4:4", "4:2:2" or "4:2:0": RGB in [0, 1], tables for luma and for chroma; "gray":
            one channel in [0, 1], of the first tables; "planes": any channels, neither scaled nor
            shifted, one table for all or one for each.
        rounding: round samples and pixels as a real codec does; not for "planes".
        levels, window: index set of `softjpeg.functional.soft_quantizer.soft_quantize`.
        zero_dc: set every block's DC coefficient to 0 first.
    """

    layout: str
    rounding: bool = False
    levels: int | None = None
    window: int | None = None
    zero_dc: bool = False


def check_arguments(image: Tensor, steps: Tensor, alphas: Tensor, layout: str) -> None:
    """Raise ValueError unless kernels can trust these.

    Args:
        image: (B, C, H, W), of one of `DTYPES`.
        steps, alphas: (rounds, kinds, 8, 8) beside it.
        layout: one of `LAYOUTS`.

    >>> image, tables = torch.zeros(1, 3, 8, 8), torch.ones(1, 2, 8, 8)
    >>> check_arguments(image, tables, tables, "4:2:0")
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    channels = {"gray": 1, "planes": None}.get(layout, 3)
    if image.ndim != 4 or channels not in (None, image.shape[1]):
        wanted = f"(B, {channels or 'C'}, H, W)"
        raise ValueError(f"image must have shape {wanted} for {layout}, got {tuple(image.shape)}")
    if image.dtype not in DTYPES:
        raise ValueError(f"image must be float32, bfloat16 or float16, got {image.dtype}")
    kinds = {"gray": steps.shape[1:2], "planes": (1, image.shape[1])}.get(layout, (2,))
    for name, tables in (("steps", steps), ("alphas", alphas)):
        if tables.shape != (*steps.shape[:2], 8, 8) or tables.shape[1] not in kinds:
            found = tuple(tables.shape)
            raise ValueError(f"{name} must have shape (rounds, kinds, 8, 8), got {found}")
        if tables.device != image.device:
            raise ValueError(f"{name} must be on {image.device}, got {tables.device}")
