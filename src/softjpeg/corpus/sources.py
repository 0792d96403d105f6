"""How images of a folder are read, and what is wrong with those that Pillow reads all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from PIL import Image, ImageFile

from softjpeg.common.image_files import ImageFileError, ImageSource, NamedBytes, read_upright
from softjpeg.common.transparency import WHITE, Color
from softjpeg.jpeg.decoder import check_frame
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.progressive_scans import can_check_progressive, check_progressive

NameCollision = Literal["error", "suffix"]
Truncated = Literal["refuse", "keep"]

JPEG = b"\xff\xd8\xff"
_SEQUENTIAL, _PROGRESSIVE = {"SOF0", "SOF1"}, {"SOF2"}
_MORE = bytes(byte for byte in random.Random(0).randbytes(2048) if byte != 0xFF)
"""Entropy-coded data, of whatever meaning."""


@dataclass(frozen=True)
class SourceRules:
    """What is read of a source, and how.

    Attributes:
        follow_links: also those that leave the folder.
        name_collision: of images that would be written to one file, "error" writes none, "suffix"
            each as its own name and .jpg.
        background: RGB, 0..255, under what is transparent.
        truncated: "refuse" a JPEG that is cut off or corrupt, or "keep" what is there of it.
    """

    follow_links: bool = False
    name_collision: NameCollision = "error"
    background: Color = WHITE
    truncated: Truncated = "refuse"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("name_collision", self.name_collision, get_args(NameCollision)),
            ("truncated", self.truncated, get_args(Truncated)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {value!r}")
        color = self.background
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise ValueError(f"background must be three numbers from 0 to 255, got {color!r}")

    @property
    def settings(self) -> dict[str, Any]:
        """What of them decides a file's bytes and is not as usual, in JSON's types."""
        return {
            **({} if self.background == WHITE else {"background": list(self.background)}),
            **({} if self.truncated == "refuse" else {"truncated": self.truncated}),
        }

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While inside, Pillow, too, keeps what is cut off, if that is the rule."""
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = before or self.truncated == "keep"
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before

    def read(self, path: ImageSource) -> tuple[Image.Image, tuple[str, ...]]:
        """An image as `read_upright` reads it, and what there is to say of it.

        Raises:
            ImageFileError: it cannot be read, holds 32-bit samples, or is cut off or corrupt.
        """
        image, remarks = read_upright(path, self.background)
        fault = jpeg_fault(_jpeg_data(path), image, self.background)
        if fault and self.truncated == "refuse":
            raise ImageFileError(
                f"{path} is cut off or corrupt, which libjpeg only warns of: {fault} "
                "(--truncated keep takes what is there)"
            )
        return image, (*remarks, "cut off or corrupt, and kept") if fault else remarks


def _jpeg_data(source: ImageSource) -> bytes:
    """What is in a JPEG; nothing of any other file."""
    if isinstance(source, NamedBytes):
        return source.getvalue()
    with open(source, "rb") as file:
        start = file.read(len(JPEG))
        return start + file.read() if start == JPEG else b""


def jpeg_fault(data: bytes, image: Image.Image, background: Color = WHITE) -> str:
    """What makes libjpeg warn and go on with gray or garbage; empty where nothing does.

    Scans are gone through again, to the bit. Where the C kernels are missing, of progressive ones
    it is only known whether the last ends too early: more data would then change the picture.

    Args:
        data: of an image file of any kind; only a JPEG has faults.
        image: as `read_upright` reads it.
        background: that it was read with.
    """
    if not data.startswith(JPEG):
        return ""
    try:
        pieces = segments(data)
        kinds = {piece.name for piece in pieces}
        if kinds & _SEQUENTIAL:
            check_frame(pieces)
        elif kinds & _PROGRESSIVE and can_check_progressive():
            check_progressive(pieces)
    except ValueError as error:
        return str(error)
    if kinds & _PROGRESSIVE and not can_check_progressive():
        end = [piece.offset for piece in pieces if piece.name == "EOI"][-1]
        longer = NamedBytes(data[:end] + _MORE + data[end:], "the same with a longer scan")
        if read_upright(longer, background)[0].tobytes() != image.tobytes():
            return "its last scan ends too early"
    return ""
