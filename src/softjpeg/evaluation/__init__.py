"""What a network makes of real JPEG files, and what they weigh."""

from softjpeg.evaluation.points import RatePoint, at_equal_bpp, at_equal_kl, save_json, table
from softjpeg.evaluation.rate_accuracy import QUALITIES, evaluate, recompress

__all__ = [
    "QUALITIES",
    "RatePoint",
    "at_equal_bpp",
    "at_equal_kl",
    "evaluate",
    "recompress",
    "save_json",
    "table",
]
