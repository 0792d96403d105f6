"""Images to ordinary .jpg bytes with a preset's tables, and back."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError

from softjpeg.codec.metadata import display_metadata
from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.codec.stored_size import stored_picture
from softjpeg.common.image_files import holds_its_blocks
from softjpeg.common.image_planes import planes_of
from softjpeg.common.image_samples import of_same_pixels
from softjpeg.jpeg.markers import insert_after_header, read_bytes
from softjpeg.jpeg.progressive import smaller_as_progressive
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.table_formats import to_pillow
from softjpeg.jpeg.writer import HEADERS, Header, write_coefficients
from softjpeg.presets.preset import Preset

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["hard", "probabilistic", "rdo"]
"""How coefficients become indices, see `encode`."""

MODES: tuple[Mode, ...] = get_args(Mode)
_PILLOW_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}

_SHARED = threading.Lock()
"""Around what changes a Pillow image that several threads may hold: loading pixels and EXIF."""

Quantize = Callable[[Sequence["Tensor"], Preset], Sequence[Any]]
"""Decides every coefficient: float (rows, columns, 8, 8) per component to integer indices."""


def encode(
    image: Image.Image | Tensor | np.ndarray[Any, Any],
    preset: Preset | Callable[[Any], Preset],
    mode: Mode | Quantize = "hard",
    seed: int | None = None,
    *,
    optimize: bool = True,
    header: Header = "jfif",
    progressive: bool = False,
    gray: bool = False,
    metadata: bool = True,
) -> bytes:
    """An ordinary JPEG file of one image.

    Args:
        image: Pillow image (converted to RGB unless gray), tensor (3 or 1, H, W) or array
            (H, W, 3) or (H, W); uint8 0..255, or float in [0, 1].
        preset: tables, subsampling, what is stored and, for "probabilistic", hardness; or a
            function that gives them for the Pillow image: `AdaptiveQuality` is one.
        mode: "hard" rounds every coefficient (libjpeg-turbo through Pillow); "probabilistic" draws
            it from P(i|z) (J4D); "rdo" decides all of a block together, least distortion for the
            network + λ·bits (needs `preset.distortion`); a function decides as it likes, see
            `Quantize`.
        seed: of "probabilistic"; the same seed gives the same bytes, None a fresh one each time.
        optimize: Huffman tables made for this image instead of the standard ones.
        header: "jfif" as libjpeg lays it out, or "compact", which is smaller: see
            `write_coefficients`.
        progressive: progressive scans where these are smaller (needs softjpeg[progressive]).
        gray: write one component, the luma, of a colour image.
        metadata: keep the EXIF orientation and ICC profile that a Pillow image has. Nothing else
            is kept, and pixels are never turned.

    Returns:
        The bytes of a .jpg file.

    Raises:
        ValueError: unknown mode or header, or an image of another shape, type, range or size, or
            that Pillow cannot load.
        ImportError: `progressive` without its package.

    >>> import torch
    >>> data = encode(torch.zeros(3, 20, 30), Preset.from_quality(50))
    >>> tuple(decode(data).shape)
    (3, 20, 30)
    """
    if not callable(mode) and mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if header not in HEADERS:
        raise ValueError(f"header must be one of {', '.join(HEADERS)}, got {header!r}")
    segments = b""
    if isinstance(image, Image.Image):
        _load(image)
    picture = to_pillow_image(image, gray)
    if metadata and isinstance(image, Image.Image):
        with _SHARED:
            segments = display_metadata(image, picture.mode)
    preset = _preset_for(picture, preset)
    picture = stored_picture(picture, preset)
    if mode == "hard" and header == "jfif" and not progressive:
        data = _pillow_file(picture, preset, optimize)
    else:
        data = encode_coefficients(
            _indices(picture, preset, mode, seed),
            preset,
            size=(picture.height, picture.width),
            optimize=optimize,
            header=header,
            progressive=progressive,
        )
    return insert_after_header(data, segments)


def encode_coefficients(
    indices: Sequence[Any],
    preset: Preset,
    *,
    size: tuple[int, int],
    optimize: bool = True,
    header: Header = "jfif",
    progressive: bool = False,
) -> bytes:
    """A JPEG file of coefficients that were quantized with a preset's tables.

    Args:
        indices: 1 (gray) or 3 (Y, Cb, Cr) integer arrays or tensors (rows, columns, 8, 8), as
            `write_coefficients` takes them.
        preset: tables and subsampling.
        size: (height, width) of the image in pixels.
        optimize: Huffman tables made for this image instead of the standard ones.
        header: "jfif" as libjpeg lays it out, or "compact", which is smaller.
        progressive: progressive scans where these are smaller (needs softjpeg[progressive]).

    Raises:
        ValueError: an argument out of its range, or a shape that does not fit `size`.
        ImportError: `progressive` without its package.

    >>> gray = np.zeros((1, 1, 8, 8), dtype=np.int16)
    >>> tuple(decode(encode_coefficients([gray], Preset.from_quality(50), size=(8, 8))).shape)
    (1, 8, 8)
    """
    data = write_coefficients(
        indices,
        (preset.luma, preset.chroma) if len(indices) == 3 else [preset.luma],
        size=size,
        subsampling=preset.subsampling,
        optimize=optimize,
        header=header,
    )
    return smaller_as_progressive(data) if progressive else data


def decode(data: bytes | str | os.PathLike[str]) -> Tensor:
    """A .jpg as libjpeg-turbo (through Pillow) shows it: uint8 (3, H, W), or (1, H, W) if gray.

    Args:
        data: the file's bytes, or its path.

    Raises:
        ValueError: not an image that Pillow can decode, of more pixels than it allows
            (``PIL.Image.MAX_IMAGE_PIXELS``), or of fewer bits than blocks.
        OSError: the path cannot be read.
    """
    data = read_bytes(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Before memory is taken for what a header claims.
            if not holds_its_blocks(image, len(data)):
                raise ValueError(f"{len(data)} bytes cannot hold {image.width}x{image.height}")
            pixels = planes_of(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError(
            "data cannot be decoded as an image: Pillow knows no such format"
        ) from None
    # Damaged files make Pillow raise OSError, SyntaxError, struct.error and others.
    except Exception as error:
        raise ValueError(f"data cannot be decoded as an image: {error}") from None
    return pixels


def _load(image: Image.Image) -> None:
    with _SHARED:
        try:
            image.load()
        # As above, of a file that Pillow opened and has not read yet.
        except Exception as error:
            raise ValueError(f"image cannot be loaded: {error}") from error


def _preset_for(picture: Image.Image, preset: Any) -> Preset:
    chosen = preset(picture) if callable(preset) else preset
    if not isinstance(chosen, Preset):
        kind = type(chosen).__name__
        raise ValueError(f"preset must be a Preset, or a function that gives one, got {kind}")
    return chosen


def _indices(
    picture: Image.Image, preset: Preset, mode: Mode | Quantize, seed: int | None
) -> Sequence[Any]:
    if mode == "hard":
        # libjpeg's integer DCT rounds some ties its own way: take its own decisions.
        return read_coefficients(_pillow_file(picture, preset, optimize=False)).components
    # Of PyTorch, which takes seconds and memory to load: what is "hard" does without.
    from softjpeg.codec.probabilistic import sample_indices
    from softjpeg.codec.rdo import rdo_indices
    from softjpeg.functional.transform import image_to_coefficients

    pixels = planes_of(picture)
    coefficients = image_to_coefficients(pixels, preset.subsampling, rounding=True)
    if callable(mode):
        return mode(coefficients, preset)
    if mode == "rdo":
        return rdo_indices(coefficients, preset, size=(picture.height, picture.width))
    return sample_indices(coefficients, preset, seed)


def _pillow_file(picture: Image.Image, preset: Preset, optimize: bool) -> bytes:
    buffer, gray = io.BytesIO(), picture.mode == "L"
    try:
        # No quality beside the tables: Pillow would scale them by it.
        # Pillow keeps what it saves with on the image, which threads may share.
        of_same_pixels(picture).save(
            buffer,
            "jpeg",
            qtables=to_pillow(preset.luma, None if gray else preset.chroma),
            subsampling=0 if gray else _PILLOW_SUBSAMPLING[preset.subsampling],
            optimize=optimize,
            comment=b"",  # Else Pillow copies the one that the image came with.
        )
    except OSError:
        if not optimize:
            raise
        # Pillow has too small a buffer for optimizing files of over 2 bytes per pixel: recode them.
        indices = _indices(picture, preset, "hard", None)
        return encode_coefficients(indices, preset, size=(picture.height, picture.width))
    return buffer.getvalue()
