"""Whatever `encode` is given as a Pillow image that JPEG can hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from softjpeg.common.image_files import MAX_SIDE
from softjpeg.common.image_planes import picture_of
from softjpeg.common.image_samples import to_8_bits
from softjpeg.common.transparency import has_transparency, on_background

if TYPE_CHECKING:
    from torch import Tensor


def to_pillow_image(
    image: Image.Image | Tensor | np.ndarray[Any, Any], gray: bool = False
) -> Image.Image:
    """Any of `encode`'s image types as a Pillow image of mode "RGB" or "L".

    Raises:
        ValueError: an image of another shape, type or range, empty, or too large for libjpeg.

    >>> import torch
    >>> to_pillow_image(torch.ones(1, 2, 2)).getpixel((0, 0))
    255
    >>> to_pillow_image(Image.new("RGB", (2, 2), "red"), gray=True).getpixel((0, 0))
    76
    """
    picture = _convert(image) if isinstance(image, Image.Image) else _from_pixels(image)
    if not all(1 <= side <= MAX_SIDE for side in picture.size):
        width, height = picture.size
        raise ValueError(
            f"image must be from 1 to {MAX_SIDE} pixels high and wide, got {height} x {width}"
        )
    return picture.convert("L") if gray and picture.mode != "L" else picture


def _convert(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB") and not has_transparency(image):
        return image
    image = to_8_bits(image)
    gray = image.mode in ("1", "L", "LA", "La")
    if has_transparency(image):
        image, _ = on_background(image)
    return image.convert("L" if gray else "RGB")


def _from_pixels(pixels: Tensor | np.ndarray[Any, Any]) -> Image.Image:
    # Nobody has a tensor where PyTorch, which takes seconds and memory, is not loaded.
    if (torch := sys.modules.get("torch")) and isinstance(pixels, torch.Tensor):
        return picture_of(torch.from_numpy(_to_uint8(_planes(pixels))))
    if not isinstance(pixels, np.ndarray):
        kind = type(pixels).__name__
        raise ValueError(f"image must be a Pillow image, tensor or array, got {kind}")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"image must have shape (H, W, 3) or (H, W), got {pixels.shape}")
    return Image.fromarray(_to_uint8(pixels))


def _planes(pixels: Tensor) -> np.ndarray[Any, Any]:
    import torch

    if pixels.is_meta or pixels.layout != torch.strided:
        where = f"{pixels.device}, {pixels.layout}"
        raise ValueError(f"image must hold its pixels, got a tensor on {where}")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        raise ValueError(f"image must have shape (3 or 1, H, W), got {tuple(pixels.shape)}")
    if pixels.is_floating_point() and pixels.dtype != torch.float64:
        # NumPy knows no bfloat16.
        pixels = pixels.float()
    planes: np.ndarray[Any, Any] = pixels.detach().cpu().numpy()
    return planes


def _to_uint8(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if pixels.size == 0:
        raise ValueError(f"image must have at least one pixel, got shape {pixels.shape}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        raise ValueError(f"image must be uint8 or float in [0, 1], got {pixels.dtype}")
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"image must be in [0, 1], got values from {pixels.min()} to {pixels.max()}"
        )
    return np.round(pixels * 255).astype(np.uint8)
