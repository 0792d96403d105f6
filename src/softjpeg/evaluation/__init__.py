"""What a network makes of real files, and what they weigh."""

from softjpeg.evaluation.bootstrap import Estimate
from softjpeg.evaluation.encoders import QUALITIES, Encoder, default_jpeg, preset_encoder
from softjpeg.evaluation.gain import Gain, gains, gains_table, headline
from softjpeg.evaluation.judging import judge
from softjpeg.evaluation.points import PerImage, RatePoint, at_equal_bpp, at_equal_kl, table
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import load_json, save_csv, save_json

__all__ = [
    "QUALITIES",
    "Encoder",
    "Estimate",
    "Gain",
    "PerImage",
    "RatePoint",
    "at_equal_bpp",
    "at_equal_kl",
    "default_jpeg",
    "evaluate",
    "gains",
    "gains_table",
    "headline",
    "judge",
    "load_json",
    "preset_encoder",
    "save_csv",
    "save_json",
    "table",
]
