"""One image of a request, in a process of its own: the bytes that `softjpeg encode` writes."""

from __future__ import annotations

from functools import lru_cache

from softjpeg.codec.adaptive_quality import AdaptiveQuality, load_for_images
from softjpeg.codec.byte_limit import ByteLimit, encode_choosing, load_limit
from softjpeg.common.image_files import ImageFileError, NamedBytes, read_upright
from softjpeg.corpus.digests import preset_sha256, sha256
from softjpeg.corpus.error_classes import error_class
from softjpeg.corpus.limits import FormatError, LimitError, Limits
from softjpeg.corpus.samples import IMAGE_ERRORS
from softjpeg.corpus.service.settings import Encoded, Order, Refusal
from softjpeg.corpus.sources import jpeg_fault
from softjpeg.presets.preset import Preset

_Tables = Preset | AdaptiveQuality | ByteLimit


def encode_body(data: bytes, name: str, order: Order, limits: Limits) -> Encoded | Refusal:
    """An image's file, or why there is none.

    Args:
        data: of an image file of one of `FORMATS`.
        name: what sentences call it.
        order: preset, quality and mode.
        limits: of the image.
    """
    try:
        tables, digest = _tables(order.spec, order.quality, order.max_bytes)
        _check_mode(order, tables)
    except (ValueError, OSError) as error:
        return Refusal(400, "request", _sentence(error))
    try:
        source = NamedBytes(data, name)
        with limits.applied():
            limits.check(source)
            image, remarks = read_upright(source)
        if fault := jpeg_fault(data, image):
            raise ImageFileError(f"{name} is cut off or corrupt: {fault}")
        file, quality = encode_choosing(image, tables, order.mode)
    except IMAGE_ERRORS as error:
        return Refusal(_status(error), error_class(error), _sentence(error))
    return Encoded(file, sha256(file), digest, remarks, quality)


@lru_cache(maxsize=256)
def _tables(spec: str, quality: int | None, most: int | None) -> tuple[_Tables, str]:
    tables: _Tables
    if most is not None:
        tables = load_limit(most, spec, quality)
    elif spec != "default":
        tables = load_for_images(spec, quality)
    elif quality is None:
        raise ValueError("default is libjpeg's tables: choose a quality from 1 to 100")
    else:
        tables = Preset.from_quality(quality)
    return tables, preset_sha256(tables)


def _check_mode(order: Order, tables: _Tables) -> None:
    ladder = tables if isinstance(tables, Preset) else tables.ladder
    rungs = (ladder,) if isinstance(ladder, Preset) else ladder.rungs
    if order.mode == "rdo" and any(rung.distortion is None for rung in rungs):
        raise ValueError(f"mode rdo needs a preset that knows a network, got {order.spec}")


def _status(error: Exception) -> int:
    if isinstance(error, FormatError):
        return 415
    if isinstance(error, LimitError):
        return 413
    return 503 if error_class(error) == "memory" else 422


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
