"""Default JPEG: Annex K's tables scaled by libjpeg's quality."""

from __future__ import annotations

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.presets.preset import Preset


def default(context: Context, optimize: bool = True) -> dict[str, Encoder]:
    """One encoder for each quality.

    Args:
        context: its subsampling and qualities are used.
        optimize: Huffman codes made for each image, instead of Annex K's.

    >>> list(default(Context(qualities=[30, 50])))
    ['q 30', 'q 50']
    """

    presets = {q: Preset.from_quality(q, context.subsampling) for q in context.qualities}
    return {f"q {q}": preset_encoder(p, optimize=optimize) for q, p in presets.items()}
