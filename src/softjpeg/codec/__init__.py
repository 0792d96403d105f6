"""Coefficients to the bytes of a JPEG file and back."""

from softjpeg.codec.image import decode, encode
from softjpeg.codec.markers import scan_bytes
from softjpeg.codec.reader import JPEGCoefficients, read_coefficients
from softjpeg.codec.writer import write_coefficients

__all__ = [
    "JPEGCoefficients",
    "decode",
    "encode",
    "read_coefficients",
    "scan_bytes",
    "write_coefficients",
]
