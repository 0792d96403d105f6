"""Default JPEG: Annex K's tables scaled by libjpeg's quality."""

from __future__ import annotations

from dataclasses import replace

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.presets.preset import Preset


def default(
    context: Context, optimize: bool = True, short_side: int | None = None
) -> dict[str, Encoder]:
    """One encoder for each quality.

    Args:
        context: its subsampling and qualities are used.
        optimize: Huffman codes made for each image, instead of Annex K's.
        short_side: of the stored images, as `Preset` has it.

    >>> list(default(Context(qualities=[30, 50])))
    ['q 30', 'q 50']
    """

    def preset(quality: int) -> Preset:
        return replace(Preset.from_quality(quality, context.subsampling), short_side=short_side)

    return {f"q {q}": preset_encoder(preset(q), optimize=optimize) for q in context.qualities}
