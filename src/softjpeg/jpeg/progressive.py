"""Progressive scans where they are smaller: mozjpeg's lossless optimizer."""

from __future__ import annotations

from softjpeg.common.extras import import_extra
from softjpeg.jpeg.markers import segments


def smaller_as_progressive(data: bytes) -> bytes:
    """The file in the progressive scans that mozjpeg finds best, or as it is where that is smaller.

    No coefficient changes. A file without an APP0 segment stays so.

    Args:
        data: a JPEG file; its metadata are lost when it is made progressive.

    Raises:
        ImportError: mozjpeg-lossless-optimization is not installed.
    """
    mozjpeg = import_extra("mozjpeg_lossless_optimization", extra="progressive")
    candidate: bytes = mozjpeg.optimize(data, copy=mozjpeg.COPY_MARKERS.NONE)
    if all(piece.name != "APP0" for piece in segments(data)):
        candidate = b"".join(
            candidate[piece.offset : piece.offset + piece.length]
            for piece in segments(candidate)
            if piece.name != "APP0"
        )
    return min(data, candidate, key=len)
