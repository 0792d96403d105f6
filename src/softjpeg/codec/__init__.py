"""Coefficients and images to the bytes of a JPEG file, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softjpeg.codec.markers import scan_bytes
from softjpeg.codec.reader import JPEGCoefficients, read_coefficients
from softjpeg.codec.recode import recode
from softjpeg.codec.writer import write_coefficients

if TYPE_CHECKING:
    from softjpeg.codec.image import decode, encode, encode_coefficients

__all__ = [
    "JPEGCoefficients",
    "decode",
    "encode",
    "encode_coefficients",
    "read_coefficients",
    "recode",
    "scan_bytes",
    "write_coefficients",
]


def __getattr__(name: str) -> Any:
    # Images need torch, which takes seconds to import; coefficients and markers do not.
    if name in ("decode", "encode", "encode_coefficients"):
        from softjpeg.codec import image

        return getattr(image, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
