"""The entropy coder of baseline JPEG (ITU-T T.81): blocks to bits and back, numpy only."""

from softjpeg.entropy.scan import scan_bits, scan_bits_batch

__all__ = ["scan_bits", "scan_bits_batch"]
