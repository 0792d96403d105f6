"""JPEG inside the training graph: learn tables for a network, write ordinary .jpg files.

Names are imported when first used, so ``import softjpeg`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softjpeg import functional
    from softjpeg.adaptation.adapt import adapt
    from softjpeg.adaptation.adapter import Adapter, read_strength
    from softjpeg.adaptation.co_adapt import co_adapt
    from softjpeg.codec.adaptive_quality import AdaptiveQuality
    from softjpeg.codec.image import decode, encode
    from softjpeg.codec.recode import recode
    from softjpeg.codec.requantize import requantize
    from softjpeg.evaluation.rate_accuracy import evaluate
    from softjpeg.jpeg.reader import read_coefficients
    from softjpeg.jpeg.writer import write_coefficients
    from softjpeg.learning.learn import learn
    from softjpeg.learning.learn_ladder import learn_ladder, learned_ladder
    from softjpeg.learning.measured_ladder import measured_ladder
    from softjpeg.nn.feature_layer import FeatureJPEGLayer
    from softjpeg.nn.jpeg_layer import JPEGLayer
    from softjpeg.nn.wrapping import wrap
    from softjpeg.presets.ladder import Ladder
    from softjpeg.presets.loading import load_preset
    from softjpeg.presets.preset import Preset

    __version__: str

__all__ = [
    "Adapter",
    "AdaptiveQuality",
    "FeatureJPEGLayer",
    "JPEGLayer",
    "Ladder",
    "Preset",
    "__version__",
    "adapt",
    "co_adapt",
    "decode",
    "encode",
    "evaluate",
    "functional",
    "learn",
    "learn_ladder",
    "learned_ladder",
    "load_preset",
    "measured_ladder",
    "read_coefficients",
    "read_strength",
    "recode",
    "requantize",
    "wrap",
    "write_coefficients",
]

_MODULE_OF = {
    "AdaptiveQuality": "codec.adaptive_quality",
    "Adapter": "adaptation.adapter",
    "FeatureJPEGLayer": "nn.feature_layer",
    "JPEGLayer": "nn.jpeg_layer",
    "Ladder": "presets.ladder",
    "Preset": "presets.preset",
    "adapt": "adaptation.adapt",
    "co_adapt": "adaptation.co_adapt",
    "decode": "codec.image",
    "encode": "codec.image",
    "evaluate": "evaluation.rate_accuracy",
    "learn": "learning.learn",
    "learn_ladder": "learning.learn_ladder",
    "learned_ladder": "learning.learn_ladder",
    "load_preset": "presets.loading",
    "measured_ladder": "learning.measured_ladder",
    "read_coefficients": "jpeg.reader",
    "read_strength": "adaptation.adapter",
    "recode": "codec.recode",
    "requantize": "codec.requantize",
    "wrap": "nn.wrapping",
    "write_coefficients": "jpeg.writer",
}

_MOVED = {
    "softjpeg.codec.abbreviated": "softjpeg.jpeg.abbreviated",
    "softjpeg.images": "softjpeg.common.image_set",
    "softjpeg.learn": "softjpeg.learning.learn",
    "softjpeg.losses": "softjpeg.learning.losses",
    "softjpeg.wrap": "softjpeg.nn.wrapping",
}
"""Modules that earlier documentation and examples imported from, and where they are now."""


def __getattr__(name: str) -> Any:
    if name == "functional":
        return importlib.import_module("softjpeg.functional")
    if name == "__version__":
        from importlib.metadata import version

        return version("softjpeg")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'softjpeg' has no attribute {name!r}")
    return getattr(importlib.import_module(f"softjpeg.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _MovedModules:
    """Python asks it last, about modules that nothing else finds."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name in _MOVED:
            raise ModuleNotFoundError(f"{name} has moved to {_MOVED[name]}", name=name)


sys.meta_path.append(_MovedModules)  # type: ignore[arg-type]
