"""Images to ordinary .jpg bytes with a preset's tables, and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from softjpeg.codec.reader import read_coefficients
from softjpeg.codec.writer import write_coefficients
from softjpeg.cpmf import sample_index
from softjpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.preset import Preset
from softjpeg.tables import to_pillow
from softjpeg.transform import image_to_coefficients

MODES = ("hard", "probabilistic")
_PILLOW_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def encode(
    image: Image.Image | Tensor | np.ndarray[Any, Any],
    preset: Preset,
    mode: str = "hard",
    seed: int | None = None,
    *,
    optimize: bool = True,
) -> bytes:
    """An ordinary baseline JPEG file of one image.

    Args:
        image: Pillow image (converted to RGB unless gray), tensor (3 or 1, H, W) or array
            (H, W, 3) or (H, W); uint8 0..255, or float in [0, 1].
        preset: tables, subsampling and, for "probabilistic", hardness.
        mode: "hard" rounds every coefficient (libjpeg-turbo through Pillow); "probabilistic" draws
            it from the CPMF (J4D).
        seed: of "probabilistic"; the same seed gives the same bytes, None a fresh one each time.
        optimize: Huffman tables made for this image instead of the standard ones.

    Returns:
        The bytes of a .jpg file.

    Raises:
        ValueError: unknown mode, or an image of another shape, type or range.

    >>> data = encode(torch.zeros(3, 20, 30), Preset.from_quality(50))
    >>> tuple(decode(data).shape)
    (3, 20, 30)
    """
    picture = to_pillow_image(image)
    if mode == "hard":
        return _encode_hard(picture, preset, optimize)
    if mode == "probabilistic":
        return _encode_probabilistic(picture, preset, seed, optimize)
    raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")


def decode(data: bytes) -> Tensor:
    """A .jpg as libjpeg-turbo (through Pillow) shows it: uint8 (3, H, W), or (1, H, W) if gray.

    Raises:
        ValueError: not an image that Pillow can decode.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"data cannot be decoded as an image: {error}") from None
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def to_pillow_image(image: Image.Image | Tensor | np.ndarray[Any, Any]) -> Image.Image:
    """Any of `encode`'s image types as a Pillow image of mode "RGB" or "L".

    >>> to_pillow_image(torch.ones(1, 2, 2)).getpixel((0, 0))
    255
    """
    if isinstance(image, Image.Image):
        if image.mode in ("L", "RGB"):
            return image
        if image.mode == "I;16":
            # Pillow would clip 16 bits to 8, not scale them.
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return image.convert("L" if image.mode in ("1", "LA") else "RGB")
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] not in (1, 3):
            raise ValueError(f"image must have shape (3 or 1, H, W), got {tuple(image.shape)}")
        image = image.detach().cpu().permute(1, 2, 0).numpy()
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"image must have shape (H, W, 3) or (H, W), got {image.shape}")
    if image.dtype != np.uint8:
        if image.dtype.kind != "f":
            raise ValueError(f"image must be uint8 or float in [0, 1], got {image.dtype}")
        if not (image.min() >= 0 and image.max() <= 1):
            raise ValueError(
                f"image must be in [0, 1], got values from {image.min()} to {image.max()}"
            )
        image = np.round(image * 255).astype(np.uint8)
    return Image.fromarray(image)


def _encode_hard(picture: Image.Image, preset: Preset, optimize: bool) -> bytes:
    tables = to_pillow(preset.luma, None if picture.mode == "L" else preset.chroma)

    def save(optimize: bool) -> bytes:
        buffer = io.BytesIO()
        # No quality beside the tables: Pillow would scale them by it.
        picture.save(
            buffer,
            "jpeg",
            qtables=tables,
            subsampling=_PILLOW_SUBSAMPLING[preset.subsampling],
            optimize=optimize,
        )
        return buffer.getvalue()

    try:
        return save(optimize)
    except OSError:
        # Pillow has too small a buffer for optimizing files of over 2 bytes per pixel: recode them.
        file = read_coefficients(save(optimize=False))
        return write_coefficients(
            file.components, file.tables, size=file.size, subsampling=file.subsampling
        )


def _encode_probabilistic(
    picture: Image.Image, preset: Preset, seed: int | None, optimize: bool
) -> bytes:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    pixels = np.array(picture)
    image = torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)
    coefficients = image_to_coefficients(image / 255, preset.subsampling, rounding=True)
    tables = [preset.luma, preset.chroma, preset.chroma][: len(coefficients)]
    indices = []
    for z, table, h in zip(coefficients, tables, preset.hardness[[0, 1, 1]], strict=False):
        q = torch.from_numpy(table).float()
        alpha = torch.from_numpy(h).float() / q**2
        drawn = sample_index(z, q, alpha, generator=generator).flatten(-2)
        ac, dc = drawn[..., 1:].clamp(-MAX_AC, MAX_AC), drawn[..., :1].clamp(MIN_DC, MAX_DC)
        indices.append(torch.cat([dc, ac], -1).reshape(z.shape).to(torch.int32).numpy())
    return write_coefficients(
        indices,
        tables,
        size=(picture.height, picture.width),
        subsampling=preset.subsampling,
        optimize=optimize,
    )
