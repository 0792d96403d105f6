"""What kernels must know of their arguments before they read them by their addresses."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils import _python_dispatch

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Of the layer's images; all are computed in float32."""
MAX_INDEX = 1 << 24
"""Up to which float32 holds every index."""
Layout = Literal["4:4:4", "4:2:2", "4:2:0", "gray", "planes"]
"""What the layer's channels are; see `softjpeg.functional.jpeg_layer`."""


def are_plain(*tensors: Tensor) -> bool:
    """Whether these are just numbers in memory: nothing is traced, transformed or watched.

    >>> are_plain(torch.zeros(2)), torch.func.grad(lambda x: x * are_plain(x))(torch.tensor(2.0))
    (True, tensor(0.))
    """
    return (
        not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        # Whoever watches operators must see them.
        and _python_dispatch._get_current_dispatch_mode() is None
        and all(
            type(t) in (Tensor, torch.nn.Parameter)
            and t.layout == torch.strided
            and not t.is_neg()
            # Within torch.func what is wrapped, and what becomes so by whatever is done with it.
            and torch.func.debug_unwrap(view := t.detach(), recurse=False) is view
            # A kernel without a rule for them would drop tangents without a word.
            and forward_ad.unpack_dual(t).tangent is None  # type: ignore[no-untyped-call]
            for t in tensors
        )
    )


def check_layer(image: Tensor, steps: Tensor, alphas: Tensor, layout: str) -> None:
    """Raise ValueError unless these are an image and tables of the JPEG layer.

    Args:
        image: (B, C, H, W) float; for "planes" any C, for "gray" 1, else 3.
        steps, alphas: (rounds, kinds, 8, 8) beside it: of luma and chroma, or for "planes" of all
            channels or of each.
        layout: of `Layout`.

    >>> image, tables = torch.zeros(1, 3, 8, 8), torch.ones(1, 2, 8, 8)
    >>> check_layer(image, tables, tables, "4:2:0")
    """
    if layout not in get_args(Layout):
        known = ", ".join(get_args(Layout))
        raise ValueError(f"layout must be one of {known}, got {layout!r}")
    channels = {"gray": 1, "planes": None}.get(layout, 3)
    if image.ndim != 4 or channels not in (None, image.shape[1]):
        wanted = f"(B, {channels or 'C'}, H, W)"
        raise ValueError(f"image must have shape {wanted} for {layout}, got {tuple(image.shape)}")
    if not image.is_floating_point():
        raise ValueError(f"image must be of floating point numbers, got {image.dtype}")
    kinds = {"gray": steps.shape[1:2], "planes": (1, image.shape[1])}.get(layout, (2,))
    for name, tables in (("steps", steps), ("alphas", alphas)):
        if tables.shape != (*steps.shape[:2], 8, 8) or tables.shape[1] not in kinds:
            shape = tuple(tables.shape)
            raise ValueError(f"{name} must have shape (rounds, kinds, 8, 8), got {shape}")
        if tables.device != image.device:
            raise ValueError(f"{name} must be on {image.device}, got {tables.device}")
