"""Coefficients to the bytes of a JPEG file and back."""

from softjpeg.codec.markers import scan_bytes
from softjpeg.codec.writer import write_coefficients

__all__ = ["scan_bytes", "write_coefficients"]
