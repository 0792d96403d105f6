"""WebP, AVIF and JPEG XL at their own qualities: no JPEG, but what the same bytes buy elsewhere."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

from PIL import features
from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.extras import import_extra
from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder


def by_quality(context: Context, kind: str) -> dict[str, Encoder]:
    """One encoder for each quality, on the format's own scale.

    WebP has 4:2:0 only and JPEG XL a colour space of its own; AVIF takes the context's subsampling.

    Args:
        context: its qualities are used.
        kind: "webp", "avif" or "jxl".

    Raises:
        ValueError: this Pillow was built without the format.
    """
    if kind == "jxl":
        # Importing it teaches Pillow the format.
        import_extra("pillow_jxl", extra="competitors")
    elif not features.check(kind):
        raise ValueError(f"this Pillow cannot write {kind}")
    options: dict[str, Any] = {"method": 6} if kind == "webp" else {}
    if kind == "avif":
        options["subsampling"] = context.subsampling
    return {f"q {q}": partial(_encode, kind=kind, quality=q, **options) for q in context.qualities}


def _encode(image: Tensor, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    to_pillow_image(image).save(buffer, kind, **options)
    return buffer.getvalue()
