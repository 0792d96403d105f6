"""How large an image may be, asked of its header before anything is decoded."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from PIL import Image, UnidentifiedImageError

from softjpeg.common.image_files import (
    MAX_SIDE,
    ImageFileError,
    ImageSource,
    NamedBytes,
    holds_its_blocks,
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
"""What Pillow is let open: for other formats it may start programs, as Ghostscript for EPS."""

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class LimitError(ImageFileError):
    """An image beyond a limit.

    Attributes:
        limit: "pixels", "side", "bytes", "frames", "seconds" or "profile".
    """

    def __init__(self, limit: str, words: str) -> None:
        # Both as arguments, so that it can be sent between processes.
        super().__init__(limit, words)
        self.limit, self.words = limit, words

    def __str__(self) -> str:
        return self.words


class FormatError(ImageFileError):
    """What is no image of a format that is read, whatever else it is."""


@dataclass(frozen=True)
class Limits:
    """What an image may ask for; of more it is refused.

    Attributes:
        pixels: width times height.
        bytes: of its file.
        frames: of an animation or of pages; one of them is read.
        seconds: to decode and encode it, which whoever does this watches over.

    Raises:
        ValueError: a limit that is not above 0.
    """

    pixels: int = 89_478_485
    bytes: int = 1 << 26
    frames: int = 1000
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 and (isinstance(value, int) or math.isfinite(value))):
                raise ValueError(f"{field.name} must be above 0, got {value}")

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While inside, Pillow decodes as many pixels, too: else no more than 179 million."""
        before = Image.MAX_IMAGE_PIXELS
        if before is not None and self.pixels > 2 * before:
            Image.MAX_IMAGE_PIXELS = self.pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before

    def check(self, source: ImageSource) -> None:
        """Refuse an image by the size of its file and by what its header says.

        Args:
            source: a path, or bytes with a name.

        Raises:
            LimitError: it is beyond a limit, or has a side that no JPEG file holds.
            FormatError: it is no image of one of `FORMATS`.
            ImageFileError: its header cannot be read.

        >>> Limits(pixels=10**4).check(NamedBytes(b"P5 200 100 255 ", "a.pgm"))
        Traceback (most recent call last):
        ...
        softjpeg.corpus.limits.LimitError: a.pgm has 200x100 pixels: at most 10000 are read
        """
        try:
            self._check(source)
        except ImageFileError:
            raise
        except UnidentifiedImageError as error:
            formats = ", ".join(FORMATS)
            raise FormatError(f"{source} is no image that is read ({formats})") from error
        # Damaged headers make Pillow raise OSError, SyntaxError, struct.error and others.
        except Exception as error:
            if isinstance(error, _BOMBS):
                raise LimitError("pixels", f"{source} has too many pixels: {error}") from error
            if "MAX_TEXT" in str(error):
                words = f"{source} has a colour profile or text that is too long: {error}"
                raise LimitError("profile", words) from error
            raise ImageFileError(f"{source} cannot be read as an image: {error}") from error

    def check_bytes(self, source: ImageSource) -> int:
        """Refuse an image by the size of its file, which is returned, before anything is read.

        Raises:
            LimitError: it is larger than the limit.
            ImageFileError: there is no such file.
        """
        try:
            size = (
                len(source.getbuffer())
                if isinstance(source, NamedBytes)
                else os.stat(source).st_size
            )
        except OSError as error:
            raise ImageFileError(f"{source} cannot be read as an image: {error}") from error
        if size > self.bytes:
            raise LimitError("bytes", f"{source} has {size} bytes: at most {self.bytes} are read")
        return size

    def _check(self, source: ImageSource) -> None:
        data = isinstance(source, NamedBytes)
        size = self.check_bytes(source)
        try:
            with warnings.catch_warnings():
                # Of a number of pixels that the limit below decides on.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                file = Image.open(source, formats=FORMATS)
            with file:
                self._check_header(file, source, size)
        finally:
            if data:
                source.seek(0)  # type: ignore[union-attr]

    def _check_header(self, file: Image.Image, source: ImageSource, size: int) -> None:
        shape = f"{file.width}x{file.height}"
        if not holds_its_blocks(file, size):
            words = f"{source} cannot be read as an image: {size} bytes cannot hold {shape} pixels"
            raise LimitError("pixels", words)
        if file.width * file.height > self.pixels:
            words = f"{source} has {shape} pixels: at most {self.pixels} are read"
            raise LimitError("pixels", words)
        if max(file.size) > MAX_SIDE:
            words = f"{source} is {shape}: JPEG holds {MAX_SIDE} pixels a side"
            raise LimitError("side", words)
        frames = getattr(file, "n_frames", 1)
        if frames > self.frames:
            words = f"{source} has {frames} frames: at most {self.frames} are counted"
            raise LimitError("frames", words)
